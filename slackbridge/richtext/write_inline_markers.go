package richtext

import (
	"strings"
	"unicode/utf8"
)

// inlineWriter writes one line.
type inlineWriter struct {
	escapes
	pieces    []piece
	mode      textMode
	firstLine bool // of its paragraph
	firstPara bool // of its block
	sb        strings.Builder
	open      []style // outermost first
	leftOut   style   // of the word being written
}

var styleMarkers = []struct {
	style  style
	marker string
}{{bold, "**"}, {italic, "*"}, {strike, "~~"}}

func (w *inlineWriter) write() string {
	ends := styleEnds(w.pieces)
	for i, p := range w.pieces {
		w.closeStyles(p.style)
		if p.space() { // no marker can begin a style before white space
			w.leftOut = 0
		} else {
			w.openStyles(p, ends[i])
		}
		if p.atom {
			w.sb.WriteString(p.text)
			continue
		}
		structure := -1
		if w.sb.Len() == 0 {
			structure = w.structure(p.text)
		}
		w.text(i, structure)
	}
	w.closeStyles(0)
	return w.sb.String()
}

// styleEnds tells for each piece and style how many pieces from there on have it, so that the style that lasts longest
// is opened first.
func styleEnds(pieces []piece) [][3]int {
	ends := make([][3]int, len(pieces)+1)
	for i := len(pieces) - 1; i >= 0; i-- {
		for m := range styleMarkers {
			if pieces[i].style&styleMarkers[m].style != 0 {
				ends[i][m] = ends[i+1][m] + 1
			}
		}
	}
	return ends
}

// closeStyles closes what isn't in keep, and whatever was opened inside of that.
func (w *inlineWriter) closeStyles(keep style) {
	for i, st := range w.open {
		if st&keep != 0 {
			continue
		}
		for j := len(w.open) - 1; j >= i; j-- {
			w.sb.WriteString(markerOf(w.open[j]))
		}
		w.open = w.open[:i]
		return
	}
}

// openStyles opens what p has and isn't open, what lasts longest first. Emphasis inside of other emphasis has to begin
// where it can't be taken for an end, else the word goes without it.
func (w *inlineWriter) openStyles(p piece, lasts [3]int) {
	want, already := p.style&^w.leftOut, style(0)
	for _, st := range w.open {
		want &^= st
		already |= st
	}
	for want != 0 {
		best := -1
		for m := range styleMarkers {
			if want&styleMarkers[m].style != 0 && (best < 0 || lasts[m] > lasts[best]) { //nolint:gosec // best is an index of lasts or below 0
				best = m
			}
		}
		st := styleMarkers[best].style
		want &^= st
		next := p.first()
		if want != 0 {
			next = '*'
		}
		if _, canClose := flanks('*', w.last(), next); canClose && st&emphasis != 0 && already&emphasis != 0 {
			w.leftOut |= st
			continue
		}
		w.open = append(w.open, st)
		w.sb.WriteString(styleMarkers[best].marker)
	}
}

// last is the character written last, 0 at the start of the line.
func (w *inlineWriter) last() rune {
	if w.sb.Len() == 0 {
		return 0
	}
	c, _ := utf8.DecodeLastRuneInString(w.sb.String())
	return c
}

func markerOf(st style) string {
	for _, m := range styleMarkers {
		if m.style == st {
			return m.marker
		}
	}
	return ""
}

// neighbour is the character that piece j shows to piece i: if their styles differ, a marker; 0 at the ends of the line.
func neighbour(pieces []piece, i, j int) rune {
	other := piece{}
	if j >= 0 && j < len(pieces) {
		other = pieces[j]
	}
	switch {
	case pieces[i].style != other.style:
		return '*'
	case other.text == "":
		return 0
	case j < i:
		return other.last()
	}
	return other.first()
}
