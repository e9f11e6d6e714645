package history

import (
	"math"
	"slices"
	"strings"
)

// Chain is one metric of one workload over the commits that links hold together.
type Chain struct {
	Root   string    `json:"root"` // the commit whose index is 1
	Points []Indexed `json:"points"`
	// Changes are filled in by Find.
	Changes []Change `json:"changes"`
}

// Indexed is a commit's index with its interval, links included.
type Indexed struct {
	Commit
	Reference string `json:"reference"`
	Index     Ratio  `json:"index"`
	Host      string `json:"host"`   // of the last trial
	Trials    int    `json:"trials"` // that the commit was measured in
	// linkHalf is the part of the half width that every point of the same reference shares.
	linkHalf float64
}

func (x Indexed) log() float64 { return math.Log(x.Index.Ratio) }

// node is what ratios divide by: a commit under one text of the scenario.
type node struct{ commit, scenario string }

// Chains computes the index of a metric. Points whose reference no link joins
// to the rest form a chain of their own; chains come in the order of their
// newest commits, points in the order of commit times.
func Chains(points []Point, metric string) []Chain {
	links := linksOf(points, metric)
	type key struct {
		commit string
		base   node
	}
	measured := map[key][]Point{}
	var order []key
	for _, p := range points {
		if _, known := p.Metrics[metric]; !known {
			continue
		}
		k := key{p.Commit, node{p.Reference, p.ScenarioSHA256}}
		if measured[k] == nil {
			order = append(order, k)
		}
		measured[k] = append(measured[k], p)
	}
	byRoot := map[node]*Chain{}
	for _, k := range order {
		same := measured[k]
		root, toRoot := climb(links, k.base)
		own := together(levels(same, metric))
		last := same[len(same)-1]
		x := Indexed{Commit: Commit{last.Commit, last.CommittedAt, last.Subject}, Reference: last.Reference, Host: last.Host,
			Index: own.times(toRoot).ratio(last.Metrics[metric].Blocks), Trials: len(same), linkHalf: toRoot.half}
		if byRoot[root] == nil {
			byRoot[root] = &Chain{Root: root.commit}
		}
		byRoot[root].Points = append(byRoot[root].Points, x)
	}
	var chains []Chain
	for _, chain := range byRoot {
		slices.SortStableFunc(chain.Points, byTime)
		chains = append(chains, *chain)
	}
	slices.SortFunc(chains, func(a, b Chain) int {
		if c := byTime(a.Points[len(a.Points)-1], b.Points[len(b.Points)-1]); c != 0 {
			return c
		}
		return strings.Compare(a.Root, b.Root)
	})
	return chains
}

func byTime(a, b Indexed) int {
	if c := a.CommittedAt.Compare(b.CommittedAt); c != 0 {
		return c
	}
	return strings.Compare(a.SHA, b.SHA)
}

func levels(points []Point, metric string) []level {
	var all []level
	for _, p := range points {
		all = append(all, p.Metrics[metric].level())
	}
	return all
}

// link leads from a reference to the one before.
type link struct {
	to    node
	ratio level
}

func linksOf(points []Point, metric string) map[node]link {
	measured := map[node][]Point{}
	for _, p := range points {
		if _, known := p.Metrics[metric]; known && p.Kind == KindLink {
			from := node{p.Commit, p.ScenarioSHA256}
			// A reference has one predecessor; a line that names another is a chain's end, not a second way.
			if there := measured[from]; len(there) > 0 && there[0].Reference != p.Reference {
				continue
			}
			measured[from] = append(measured[from], p)
		}
	}
	links := map[node]link{}
	for from, same := range measured {
		links[from] = link{node{same[0].Reference, from.scenario}, together(levels(same, metric))}
	}
	return links
}

// climb follows links to the root and multiplies them. A circle ends where it closes.
func climb(links map[node]link, from node) (root node, ratio level) {
	seen := map[node]bool{}
	for {
		next, ok := links[from]
		if !ok || seen[from] {
			return from, ratio
		}
		seen[from] = true
		ratio, from = ratio.times(next.ratio), next.to
	}
}
