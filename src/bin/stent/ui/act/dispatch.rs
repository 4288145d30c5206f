//! A dispatch, as a form or as JSON. What its options are, and what is wrong with them, the library says.

use stent::codec;
use stent::model::{DispatchOptions, DispatchRequest};

use crate::ui::fields::Fields;
use crate::ui::refusal::{Answer, Refusal};

/// An option that the form offers; by JSON all can be given.
pub struct Offer {
    pub name: &'static str,
    pub label: &'static str,
    /// What may stand there.
    pub hint: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
    /// Several, with commas.
    Texts,
}

const fn offer(name: &'static str, label: &'static str, hint: &'static str, kind: Kind) -> Offer {
    Offer { name, label, hint, kind }
}

pub const OFFERS: &[Offer] = &[
    offer("queue", "Queue", "as the function says", Kind::Text),
    offer("tags", "Tags, with commas", "", Kind::Texts),
    offer("priority", "Priority", "0", Kind::Number),
    offer("priority_ageing", "Makes up for one step of priority in", "10m", Kind::Text),
    offer("fairness_key", "Fairness key", "whose it is", Kind::Text),
    offer("fairness_weight", "Weight of that key", "1", Kind::Number),
    offer("concurrency_key", "Concurrency key", "what it is limited with", Kind::Text),
    offer("delay", "Not before", "10m", Kind::Text),
    offer("expiry", "Ends after", "2h", Kind::Text),
    offer("id", "Id of its own", "a UUID", Kind::Text),
    offer("idempotency_key", "Idempotency key", "", Kind::Text),
    offer("unique_key", "Unique key", "", Kind::Text),
    offer("unique_for", "Unique for", "while it is not over", Kind::Text),
    offer("unique_while", "Unique while", "unfinished, or pending", Kind::Text),
    offer("unique_existing", "If the unique key is taken", "return, or refuse", Kind::Text),
    offer("debounce", "Quiet time before it starts", "5s", Kind::Text),
    offer("debounce_max", "Quiet time at most", "1m", Kind::Text),
];

pub fn of_form(fields: &Fields) -> Answer<DispatchRequest> {
    let kwargs = fields.one("kwargs").map(|text| codec::kwargs_from_text(Some(text))).transpose()?;
    let mut members: Vec<(&str, String)> = Vec::new();
    for offer in OFFERS {
        match (offer.kind, fields.one(offer.name)) {
            (_, None) => {}
            (Kind::Text, Some(text)) => members.push((offer.name, codec::to_json(text))),
            (Kind::Number, Some(text)) => members.push((offer.name, number(offer, text)?)),
            (Kind::Texts, Some(_)) => {
                let texts = fields.all(offer.name).flat_map(|text| text.split(',')).map(str::trim);
                let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
                if !texts.is_empty() {
                    members.push((offer.name, codec::to_json(&texts)));
                }
            }
        }
    }
    let mut options = options(members.iter().map(|(name, value)| (*name, value.as_str())))?;
    options.kwargs = kwargs;
    Ok(DispatchRequest {
        function: fields.text("function").ok_or_else(|| Refusal::invalid("No function is named."))?,
        args: codec::args_from_text(Some(fields.one("args").unwrap_or("[]")))?,
        options,
    })
}

/// The function, its arguments and the options, all in one object.
pub fn of_json(text: &str) -> Answer<DispatchRequest> {
    Ok(codec::options::dispatch_whole("the body", text)?)
}

/// As it stands there if it is a number: the library reads it.
fn number(offer: &Offer, text: &str) -> Answer<String> {
    let wrong = || Refusal::invalid(format!("'{}' is no number for '{}'", crate::words::cut(text, 40), offer.label));
    codec::number_from_text(text).map(|_| text.to_owned()).map_err(|_| wrong())
}

fn options<'a>(members: impl Iterator<Item = (&'a str, &'a str)>) -> Answer<DispatchOptions> {
    let members: Vec<String> = members.map(|(name, value)| format!("{}:{value}", codec::to_json(name))).collect();
    Ok(codec::options::dispatch(Some(&format!("{{{}}}", members.join(","))))?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn form(text: &str) -> Answer<DispatchRequest> {
        of_form(&Fields::parse(text.as_bytes()))
    }

    #[test]
    fn a_form_gives_what_json_gives() {
        let by_form = form(
            "function=ship&args=[1]&kwargs={\"to\":1e400}&tags=a,+b&priority=-3&fairness_key=acme&fairness_weight=2.5\
             &unique_key=k&debounce=5s&queue=",
        )
        .unwrap();
        let by_json = of_json(
            r#"{"function": "ship", "args": [1], "kwargs": {"to":1e400}, "tags": ["a", "b"], "priority": -3,
                "fairness_key": "acme", "fairness_weight": 2.5, "unique_key": "k", "debounce": "5s", "queue": null}"#,
        )
        .unwrap();
        assert_eq!(format!("{by_form:?}"), format!("{by_json:?}"));
        assert_eq!(by_form.options.debounce, Some(Duration::from_secs(5)));
        assert_eq!(by_form.options.task.fairness_weight, Some(2.5));
    }

    #[test]
    fn every_option_that_is_offered_is_one() {
        let known: Vec<&str> = codec::option_fields("dispatch").iter().map(|(name, ..)| *name).collect();
        for offer in OFFERS {
            assert!(known.contains(&offer.name), "{} is no option of a dispatch: {known:?}", offer.name);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("args=[]", "No function is named"),
            ("function=f&priority=high", "'high' is no number for 'Priority'"),
            ("function=f&priority=1.5", "priority"),
            ("function=f&delay=soon", "delay"),
            ("function=f&debounce=5s", "unique_key"),
            ("function=f&id=7", "id"),
            ("function=f&unique_key=k&unique_existing=maybe", "unique_existing"),
        ] {
            let refused = form(text).unwrap_err();
            assert!(format!("{refused:?}").contains(said), "{text}: {refused:?}");
        }
        let unknown = of_json(r#"{"function": "f", "quue": "q"}"#).unwrap_err();
        assert!(format!("{unknown:?}").contains("quue"), "{unknown:?}");
    }
}
