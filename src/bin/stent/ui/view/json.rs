//! JSON with colours, each object and list to be folded. It reads whatever there is: what is cut off or no JSON is shown
//! as far as it goes. Pure.

use maud::{Markup, PreEscaped};

/// Deeper levels are text.
const DEPTH: usize = 24;

pub fn pretty(text: &str) -> Markup {
    let mut printer = Printer { rest: text, out: String::with_capacity(text.len() * 4) };
    printer.out.push_str("<div class=\"json\" role=\"group\" aria-label=\"JSON\">");
    printer.value(0);
    printer.text();
    printer.out.push_str("</div>");
    PreEscaped(printer.out)
}

struct Printer<'a> {
    rest: &'a str,
    out: String,
}

impl<'a> Printer<'a> {
    fn space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn next(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        taken
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.space();
        let found = self.next() == Some(wanted);
        if found {
            self.take(wanted.len_utf8());
        }
        found
    }

    fn span(&mut self, class: &str, text: &str) {
        self.out.push_str("<span class=\"");
        self.out.push_str(class);
        self.out.push_str("\">");
        escape(text, &mut self.out);
        self.out.push_str("</span>");
    }

    /// All that is left.
    fn text(&mut self) {
        let rest = self.take(self.rest.len());
        if !rest.trim().is_empty() {
            self.span("j-text", rest);
        }
    }

    fn value(&mut self, depth: usize) {
        self.space();
        match self.next() {
            None => {}
            Some('{' | '[') if depth >= DEPTH => self.text(),
            Some('{') => self.container(depth, '{', '}'),
            Some('[') => self.container(depth, '[', ']'),
            Some('"') => {
                let text = self.string();
                self.span("j-string", text);
            }
            Some(_) => {
                let text = self.word();
                let class = match text {
                    "true" | "false" | "null" => "j-word",
                    _ if text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => "j-number",
                    _ => "j-text",
                };
                self.span(class, text);
            }
        }
    }

    /// With its quotes.
    fn string(&mut self) -> &'a str {
        let mut escaped = false;
        let end = self.rest.char_indices().skip(1).find_map(|(at, c)| match c {
            '\\' if !escaped => {
                escaped = true;
                None
            }
            '"' if !escaped => Some(at + 1),
            _ => {
                escaped = false;
                None
            }
        });
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Up to what ends it; at least one character.
    fn word(&mut self) -> &'a str {
        let ends = |c: char| c.is_whitespace() || ",:{}[]\"".contains(c);
        let end = self.rest.char_indices().skip(1).find_map(|(at, c)| ends(c).then_some(at));
        self.take(end.unwrap_or(self.rest.len()))
    }

    /// Behind its opening.
    fn is_short(&self, close: char) -> bool {
        let (mut quoted, mut escaped) = (false, false);
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if at > SHORT => return false,
                '"' if !escaped => quoted = !quoted,
                '{' | '[' if !quoted => return false,
                c if c == close && !quoted => return true,
                _ => {}
            }
            escaped = c == '\\' && !escaped;
        }
        false
    }

    fn inline(&mut self, open: char, close: char) {
        self.out.push(open);
        self.space();
        while !self.rest.is_empty() && self.next() != Some(close) {
            self.pair(open, DEPTH);
            if self.eat(',') {
                self.out.push_str(", ");
            }
            self.space();
        }
        self.eat(close);
        self.out.push(close);
    }

    /// A value, with its key in an object.
    fn pair(&mut self, open: char, depth: usize) {
        if open == '{' && self.next() == Some('"') {
            let key = self.string();
            self.span("j-key", key);
            if self.eat(':') {
                self.out.push_str(": ");
            }
        }
        self.value(depth);
    }

    fn container(&mut self, depth: usize, open: char, close: char) {
        self.eat(open);
        if self.eat(close) {
            self.out.extend([open, close]);
            return;
        }
        if self.is_short(close) {
            return self.inline(open, close);
        }
        let folds = depth > 0;
        if folds {
            self.out.push_str("<details class=\"fold\" open><summary>");
        }
        self.out.push(open);
        if folds {
            self.out.push_str("</summary>");
        }
        self.space();
        while !self.rest.is_empty() && self.next() != Some(close) {
            self.out.push_str("<div class=\"in\">");
            self.pair(open, depth + 1);
            if self.eat(',') {
                self.out.push(',');
            }
            self.out.push_str("</div>");
            self.space();
        }
        if self.eat(close) {
            self.out.push(close);
        }
        if folds {
            // What follows a fold stands on its last line.
            if self.eat(',') {
                self.out.push(',');
            }
            self.out.push_str("</details>");
        }
    }
}

/// A list or an object of so many bytes, with none in it, stands on one line.
const SHORT: usize = 60;

/// What would be markup, and what would change the order of what stands beside it.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}'..='\u{200f}' | '\u{feff}' => {
                out.extend(c.escape_unicode());
            }
            c if c.is_control() && !matches!(c, '\n' | '\t') => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without its own markup.
    fn plain(text: &str) -> String {
        let mut told = String::new();
        let mut inside = false;
        for c in pretty(text).0.chars() {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                c if !inside => told.push(c),
                _ => {}
            }
        }
        told.replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&")
    }

    #[test]
    fn all_that_is_there_is_shown() {
        let text = r#"{"a":[1,2.5e3,{"b":null}],"c":"x\"y","d":{},"e":[],"f":true}"#;
        assert_eq!(plain(text).replace(": ", ":"), text);
        assert_eq!(plain("{\"a\":1, \"b\":[\"x]\\\"\",2]}"), "{\"a\": 1,\"b\": [\"x]\\\"\", 2]}");
        for text in ["", "12", "\"a", "[1,", "{\"a\"", "nonsense here", "}{", "[1 2]", "{1:2}", ":,", "é[\u{1F600}"] {
            let spaceless = |text: &str| text.replace(' ', "");
            assert_eq!(spaceless(&plain(text)), spaceless(text), "{text}");
        }
        let deep = "[".repeat(10_000);
        assert_eq!(plain(&deep), deep);
        assert!(pretty(&deep).0.matches("<details").count() < DEPTH);
    }

    #[test]
    fn nothing_in_it_is_markup() {
        let hostile = "</script><img src=x onerror=alert(1)>'\"&\u{202e}\u{1b}";
        for text in [hostile.to_owned(), format!("[\"{hostile}\"]"), format!("{{\"{hostile}\":{hostile}}}")] {
            let told = pretty(&text).0;
            assert!(!told.contains("<img") && !told.contains("</script"), "{told}");
            assert!(!told.contains(['\u{202e}', '\u{1b}']), "{told}");
        }
    }
}
