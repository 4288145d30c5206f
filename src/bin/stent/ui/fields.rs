//! What a query or a form says: names with values, a name as often as it likes. Pure.

use std::borrow::Cow;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    pub fn parse(text: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(text);
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// None where nothing was filled in.
    pub fn one(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.one(name).map(str::to_owned)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.trim()).filter(|v| !v.is_empty())
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A path with a query of what is not empty.
pub fn link<'a>(path: &str, fields: impl IntoIterator<Item = (&'a str, Option<Cow<'a, str>>)>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            query.append_pair(name, &value);
        }
    }
    match query.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let hostile = "a&b=c <script>\u{202e}";
        let told = link("/x", [("q", Some(hostile.into())), ("none", None), ("empty", Some("".into()))]);
        let fields = Fields::parse(told.split_once('?').unwrap().1.as_bytes());
        assert_eq!((fields.one("q"), fields.pairs().count()), (Some(hostile), 1));
        assert_eq!(link("/x", []), "/x");
        let many = Fields::parse(b"t=1&t=+2+&t=&u=%20");
        assert_eq!(many.all("t").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(many.one("u"), None);
    }
}
