package hostinfo

import (
	"fmt"
	"strconv"
	"strings"
)

// months are the names and abbreviations that date prints for the months in the
// languages of the world's larger user groups, in lower case and without a dot.
var months = [12]string{
	" jan january januar januari janv janvier ene enero janeiro gen gennaio янв января sty stycznia led ledna oca ocak січ січня ",
	" feb february februar februari févr février febrero fev fevereiro febbraio фев февраля lut lutego úno února şub şubat лют лютого ",
	" mar march mär märz mars marzo março mrt maart мар марта marca bře března mart бер березня ",
	" apr april avr avril abr abril aprile апр апреля kwi kwietnia dub dubna nis nisan кві квітня ",
	" may mai mayo maio mag maggio мая май maj maja mei kvě května mayıs тра травня ",
	" jun june juni juin junio junho giu giugno июн июня cze czerwca čen června haz haziran чер червня ",
	" jul july juli juil juillet julio julho lug luglio июл июля lip lipca čec července tem temmuz лип липня ",
	" aug august août ago agosto augusti augustus авг августа sie sierpnia srp srpna ağu ağustos сер серпня ",
	" sep sept september septembre septiembre set setembro settembre сен сентября wrz września zář září eyl eylül вер вересня ",
	" oct october okt oktober octobre octubre out outubro ott ottobre окт октября paź października říj října eki ekim жов жовтня ",
	" nov november novembre noviembre novembro ноя ноября lis listopada listopadu kas kasım листопада ",
	" dec december dez dezember déc décembre dic diciembre dezembro dicembre дек декабря gru grudnia pro prosince ara aralık гру грудня ",
}

func monthNamed(w string) int {
	if len(w) < 3 {
		return 0
	}
	for i, names := range months {
		if strings.Contains(names, " "+w+" ") {
			return i + 1
		}
	}
	return 0
}

// dateWords is what the words of a date say, in whatever order and language.
type dateWords struct {
	nums  [3]int // year, month, day
	clock string
	zone  string
	pm    bool
	am    bool
	han   bool
	other int // words that say nothing, such as the day of the week
}

// plainDate turns a date in another language into "2026-11-21 02:44:13 CST"; what
// is none stays as it is.
//
//	2026年 11月 21日 星期六 下午 02:44:13 CST | 2026. 11. 21. (토) 05:39:23 UTC
//	Sa 21. Nov 05:38:46 UTC 2026 | sam. 21 nov. 2026 05:38:51 UTC | Сб 21 ноя 2026 05:39:12 UTC
func plainDate(s string) string {
	var d dateWords
	for _, w := range strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == '(' || r == ')' }) {
		if !d.word(w) {
			return s
		}
	}
	if d.nums[0] == 0 || d.nums[1] == 0 || d.nums[2] == 0 || strings.Count(d.clock, ":") != 2 || d.other > 1 {
		return s
	}
	if h, rest, _ := strings.Cut(d.clock, ":"); d.pm || d.am {
		n, err := strconv.Atoi(h)
		switch {
		case err != nil:
			return s
		case d.pm && n < 12:
			n += 12
		case d.am && n == 12:
			n = 0
		}
		d.clock = fmt.Sprintf("%02d:%s", n, rest)
	}
	if d.zone == "CST" && d.han {
		d.zone = "+0800" // a host that speaks Chinese means China Standard Time
	}
	return strings.TrimSpace(fmt.Sprintf("%04d-%02d-%02d %s %s", d.nums[0], d.nums[1], d.nums[2], d.clock, d.zone))
}

// word takes one word of a date; false means that this is no date.
func (d *dateWords) word(w string) bool {
	switch w {
	case "下午", "午後", "오후", "PM":
		d.pm = true
		return true
	case "上午", "午前", "오전", "AM":
		d.am = true
		return true
	case ".":
		return true
	}
	if strings.Contains(w, ":") {
		if d.clock == "" {
			d.clock = w
			return true
		}
		return false
	}
	if w[0] < '0' || w[0] > '9' {
		if m := monthNamed(strings.ToLower(strings.TrimRight(w, "."))); m != 0 {
			if d.nums[1] != 0 {
				d.other++ // "mar" was Tuesday
			}
			d.nums[1] = m
			return true
		}
		if _, ok := zoneOffset(w); ok || isZoneName(w) && d.clock != "" {
			d.zone = w
			return true
		}
		d.other++
		return true
	}
	return d.numbers(w)
}

// numbers takes "21.", "2026", "2026年11月21日" and "05时39分15秒".
func (d *dateWords) numbers(w string) bool {
	for len(w) > 0 {
		n := 0
		for n < len(w) && w[n] >= '0' && w[n] <= '9' {
			n++
		}
		if n == 0 || n > 4 {
			return false
		}
		v, _ := strconv.Atoi(w[:n])
		digits, rest := w[:n], w[n:]
		unit := rest[:len(rest)-len(strings.TrimLeftFunc(rest, func(r rune) bool { return r < '0' || r > '9' }))]
		w = rest[len(unit):]
		switch unit {
		case "年", "년":
			d.nums[0], d.han = v, unit == "年"
		case "月", "월":
			d.nums[1] = v
		case "日", "일":
			d.nums[2] = v
		case "时", "時", "시":
			d.clock = digits
		case "分", "분", "秒", "초":
			d.clock += ":" + digits
		case "", ".":
			switch {
			case n == 4:
				d.nums[0] = v
			case d.nums[1] == 0 && d.nums[0] != 0:
				d.nums[1] = v // 2026. 11. 21.
			case d.nums[2] == 0:
				d.nums[2] = v
			default:
				return false
			}
		default:
			return false
		}
	}
	return true
}
