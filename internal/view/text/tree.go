// Copyright The Sluice Authors.
// SPDX-License-Identifier: Apache-2.0

package text

import "strings"

// A node is one entry of a tree: a row of the table, or some lines of text
// that do not keep to its columns.
type node struct {
	name, kind, status, age, info string
	mark                          mark
	// heading is for a row that has a name only.
	heading bool
	// lines are the text of an entry without columns; already painted.
	lines []string
	kids  []node
}

// A row is a node with the branches in front of it.
type row struct {
	node
	prefix, more string
}

// flatten lists n and what is below it, with branches. prefix goes in front of
// its first line and more in front of the others.
func flatten(n node, prefix, more string) []row {
	rows := []row{{node: n, prefix: prefix, more: more}}
	for i, k := range n.kids {
		if i == len(n.kids)-1 {
			rows = append(rows, flatten(k, more+"└──", more+"   ")...)
		} else {
			rows = append(rows, flatten(k, more+"├──", more+"│  ")...)
		}
	}
	return rows
}

var headings = node{name: "NAME", kind: "KIND", status: "STATUS", age: "AGE", info: "INFO"}

// A layout is the widths of the columns; kind is 0 when that column is left out.
type layout struct{ name, kind, status, age int }

// layout fits the columns to the rows. The icons say what kind an entry is: on
// a narrow screen the word goes first. Names are never shortened, because
// people copy them.
func (o Options) layout(rows []row) layout {
	var w layout
	info := 0
	for _, r := range rows {
		if r.lines != nil || r.heading {
			continue
		}
		w.name = max(w.name, width(r.prefix+r.name))
		w.kind = max(w.kind, width(r.kind))
		w.status = max(w.status, width(r.state()))
		w.age = max(w.age, width(r.age))
		info = max(info, width(r.info))
	}
	if o.Width > 0 && w.name+w.kind+w.status+w.age+info+8 > o.Width {
		w.kind = 0
	}
	return w
}

// table draws a tree as a table.
func (o Options) table(root node) string {
	rows := append([]row{{node: headings}}, flatten(root, "", "")...)
	w := o.layout(rows)
	var b strings.Builder
	for _, r := range rows {
		switch {
		case r.lines != nil:
			for i, line := range r.lines {
				b.WriteString(o.paint(dim, pick(i == 0, r.prefix, r.more)) + line + "\n")
			}
		case r.heading:
			b.WriteString(o.paint(dim, r.prefix) + r.name + "\n")
		default:
			o.row(&b, r, w)
		}
	}
	return b.String()
}

// row draws one row; what does not fit of its last column goes below.
func (o Options) row(b *strings.Builder, r row, w layout) {
	name := pad(r.name, w.name-width(r.prefix)) + "  "
	if w.kind > 0 {
		name += pad(r.kind, w.kind) + "  "
	}
	before := width(r.prefix+name) + w.status + 2 + w.age + 2
	info := []string{r.info}
	if o.Width > 0 {
		info = wrap(r.info, max(o.Width-before, 12))
	}
	full := o.paint(dim, r.prefix) + name + o.paint(r.mark.tone, pad(r.state(), w.status)) + "  " + pad(r.age, w.age)
	b.WriteString(strings.TrimRight(full+"  "+info[0], " ") + "\n")
	below := r.more
	if len(r.kids) > 0 {
		below += "│"
	}
	for _, more := range info[1:] {
		b.WriteString(o.paint(dim, pad(below, before)) + more + "\n")
	}
}

func (n node) state() string {
	if n.mark.icon == "" {
		return n.status
	}
	return n.mark.icon + " " + n.status
}

func pick(first bool, a, b string) string {
	if first {
		return a
	}
	return b
}
