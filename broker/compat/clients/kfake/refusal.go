package kfake

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusal is a response that answers each part of a request with an error, or
// the request as a whole when topLevel is set or there are no parts. It is nil
// when the response has no place for it.
func refusal(request kmsg.Request, code int16, topLevel bool) kmsg.Response {
	response := request.ResponseKind()
	to := reflect.ValueOf(response).Elem()
	if find, ok := request.(*kmsg.FindCoordinatorRequest); ok && !topLevel {
		for _, key := range find.CoordinatorKeys {
			one := kmsg.NewFindCoordinatorResponseCoordinator()
			one.Key, one.ErrorCode = key, code
			response.(*kmsg.FindCoordinatorResponse).Coordinators = append(response.(*kmsg.FindCoordinatorResponse).Coordinators, one)
		}
		if len(find.CoordinatorKeys) > 0 {
			return response
		}
	}
	if _, ok := request.(*kmsg.LeaveGroupRequest); ok { // its parts are members, and errors are the group's
		topLevel = true
	}
	if topLevel && setCode(to, code) || !topLevel && mirror(reflect.ValueOf(request).Elem(), to, code) {
		return response
	}
	return nil
}

// mirror gives a response the parts that the request has, with the error in the
// smallest that have a place for one, and tells whether one had.
func mirror(from, to reflect.Value, code int16) bool {
	said := false
	for i := range from.NumField() {
		name, parts := from.Type().Field(i).Name, from.Field(i)
		into := to.FieldByName(name)
		if parts.Kind() != reflect.Slice || !into.IsValid() || into.Kind() != reflect.Slice || into.Type().Elem().Kind() != reflect.Struct {
			continue
		}
		for j := range parts.Len() {
			one := reflect.New(into.Type().Elem())
			one.MethodByName("Default").Call(nil) // every structure of kmsg has it
			if parts.Index(j).Kind() == reflect.Struct {
				copyNames(parts.Index(j), one.Elem())
				said = mirror(parts.Index(j), one.Elem(), code) || said
			} else if partition := one.Elem().FieldByName("Partition"); partition.IsValid() && parts.Index(j).Kind() == reflect.Int32 {
				partition.Set(parts.Index(j))
				said = setCode(one.Elem(), code) || said
			}
			into.Set(reflect.Append(into, one.Elem()))
		}
	}
	return said || setCode(to, code)
}

// copyNames copies what names a part.
func copyNames(from, to reflect.Value) {
	for _, name := range []string{"Topic", "TopicID", "Partition", "Group", "GroupID", "TransactionalID"} {
		if a, b := from.FieldByName(name), to.FieldByName(name); a.IsValid() && b.IsValid() && a.Type() == b.Type() {
			b.Set(a)
		}
	}
}

func setCode(to reflect.Value, code int16) bool {
	field := to.FieldByName("ErrorCode")
	if !field.IsValid() || field.Kind() != reflect.Int16 {
		return false
	}
	field.SetInt(int64(code))
	return true
}
