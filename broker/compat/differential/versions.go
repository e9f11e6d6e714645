package differential

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// versionsScript: ApiVersions itself, which answers what no other API answers.
var versionsScript = script{name: "versions", steps: []step{
	{name: "what is served", request: apiVersions("differential", "1.0")},
	{name: "a software name with a space", request: apiVersions("a b", "1.0"), from: 3},
	{name: "a software name that ends in a dot", request: apiVersions("a.", "1.0"), from: 3},
	{name: "no software version", request: apiVersions("differential", ""), from: 3},
	{name: "after a refused name on the same connection", request: apiVersions("differential", "1.0")},
}}

func apiVersions(software, version string) func(*scene) kmsg.Request {
	return func(*scene) kmsg.Request {
		r := kmsg.NewPtrApiVersionsRequest()
		r.ClientSoftwareName, r.ClientSoftwareVersion = software, version
		return r
	}
}
