package richtext

import "strings"

const emphasis = bold | italic

// fitStyles gives way where Markdown's rules about markers within words leave no other choice. White space has been
// split off, and next to it everything works; where two parts of one word differ in style,
//   - emphasis that begins right where other emphasis ends, or between two letters within it, is dropped,
//   - a part that is struck out and emphasized stays struck out only,
//   - punctuation at the end of a styled part next to a letter loses the style.
func fitStyles(pieces []piece) []piece {
	dropOverlaps(pieces)
	out := make([]piece, 0, len(pieces))
	for from := 0; from < len(pieces); {
		to := from + 1
		for to < len(pieces) && !pieces[to-1].space() && !pieces[to].space() {
			to++
		}
		simplifyStruck(pieces[from:to])
		out = append(out, movePunctuation(pieces[from:to])...)
		from = to
	}
	return out
}

// dropOverlaps takes away emphasis that would begin, or begin again, right behind the end of other emphasis, as their
// asterisks would make one run that reads otherwise, and emphasis that begins between two letters within other
// emphasis, as an asterisk there ends it. (openStyles does the latter between two characters of punctuation.)
func dropOverlaps(pieces []piece) {
	var since [2]int // where the emphasis that goes on began: bold, italic
	var before style // of the last piece that isn't white space
	for i := range pieces {
		p := &pieces[i]
		if p.space() {
			continue
		}
		if touches := i > 0 && !pieces[i-1].space(); touches {
			closed, inWord := before&^p.style, letter(pieces[i-1].last()) && letter(p.first())
			for e, st := range emphases {
				opens, other := before&st == 0, emphases[1-e]
				if closed&other != 0 && (opens || since[e] > since[1-e]) || inWord && opens && before&other != 0 {
					p.style &^= st
				}
			}
		}
		for e, st := range emphases {
			if p.style&^before&st != 0 {
				since[e] = i
			}
		}
		before = p.style
	}
}

var emphases = [2]style{bold, italic}

// simplifyStruck leaves emphasis out of what is struck out, if both begin or both end within the word: of two different
// markers the outer one then stands between a letter and the inner one, where it is no marker.
func simplifyStruck(word []piece) {
	both := func(st style) bool { return st&strike != 0 && st&emphasis != 0 }
	found := false
	for i := 1; i < len(word); i++ {
		a, b := word[i-1], word[i]
		found = found || both(b.style&^a.style) && letter(a.last()) || both(a.style&^b.style) && letter(b.first())
	}
	for i := range word {
		if found && both(word[i].style) {
			word[i].style &^= emphasis
		}
	}
}

// movePunctuation takes punctuation next to a letter out of the styles that end there. Code and links begin and end with
// punctuation and lose such a style as a whole.
func movePunctuation(word []piece) []piece {
	out := make([]piece, 0, len(word))
	for i, p := range word {
		if i == 0 {
			out = append(out, p)
			continue
		}
		prev := &out[len(out)-1]
		shared := prev.style & p.style
		if prev.style != shared && letter(p.first()) && !letter(prev.last()) {
			if prev.atom {
				prev.style = shared
			} else {
				rest := strings.TrimRightFunc(prev.text, punctuation)
				core := strings.TrimRightFunc(rest, isSpace)
				out = append(out[:len(out)-1], withoutEmpty([]piece{
					{text: core, style: prev.style}, {text: rest[len(core):]}, {text: prev.text[len(rest):], style: shared},
				})...)
			}
		}
		if p.style != shared && letter(out[len(out)-1].last()) && !letter(p.first()) {
			if p.atom {
				p.style = shared
			} else {
				rest := strings.TrimLeftFunc(p.text, punctuation)
				core := strings.TrimLeftFunc(rest, isSpace)
				out = append(out, withoutEmpty([]piece{
					{text: p.text[:len(p.text)-len(rest)], style: shared}, {text: rest[:len(rest)-len(core)]},
				})...)
				p.text = core
			}
		}
		if p.text != "" {
			out = append(out, p)
		}
	}
	return out
}
