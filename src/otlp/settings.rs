//! Where to and how, from the environment; the host may say where to instead.

use std::time::Duration;

/// As OpenTelemetry's default.
const TIMEOUT: Duration = Duration::from_secs(10);
const SERVICE: &str = "stent";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The whole URL.
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub timeout: Duration,
    /// Of whom the spans are: `service.name` and others.
    pub resource: Vec<(String, String)>,
}

impl Settings {
    /// `None`: nothing is to be exported. `endpoint` counts instead of the environment's; `get` reads a variable.
    ///
    /// # Errors
    /// What is asked for can't be done, in a sentence.
    pub fn new(endpoint: Option<String>, get: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // A variable that is empty counts as one that is not set.
        let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let either = |what: &str| {
            get(&format!("OTEL_EXPORTER_OTLP_TRACES_{what}")).or_else(|| get(&format!("OTEL_EXPORTER_OTLP_{what}")))
        };
        let below = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
        let url = endpoint.map(below).or_else(|| get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"));
        let Some(url) = url.or_else(|| get("OTEL_EXPORTER_OTLP_ENDPOINT").map(below)) else { return Ok(None) };
        let disabled = get("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
        let exporters = get("OTEL_TRACES_EXPORTER").unwrap_or_else(|| "otlp".to_owned());
        if disabled || !exporters.split(',').any(|word| word.trim() == "otlp") {
            return Ok(None);
        }
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(format!("the endpoint '{url}' is no http:// or https:// URL"));
        }
        match either("PROTOCOL").as_deref() {
            None | Some("http/protobuf") => {}
            Some(other) => {
                return Err(format!(
                    "the protocol '{other}' is not spoken here; set OTEL_EXPORTER_OTLP_TRACES_PROTOCOL to http/protobuf, and \
                     OTEL_EXPORTER_OTLP_TRACES_ENDPOINT to such an endpoint (usually port 4318)"
                ));
            }
        }
        let timeout = match either("TIMEOUT") {
            None => TIMEOUT,
            Some(text) => match text.parse() {
                Ok(millis) if millis > 0 => Duration::from_millis(millis),
                _ => return Err(format!("OTEL_EXPORTER_OTLP_TIMEOUT is '{text}'; it is a number of milliseconds")),
            },
        };
        let headers = pairs(&either("HEADERS").unwrap_or_default())?;
        let mut resource = pairs(&get("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default())?;
        if let Some(service) = get("OTEL_SERVICE_NAME") {
            resource.retain(|(name, _)| name != "service.name");
            resource.push(("service.name".to_owned(), service));
        } else if !resource.iter().any(|(name, _)| name == "service.name") {
            resource.push(("service.name".to_owned(), SERVICE.to_owned()));
        }
        Ok(Some(Self { url, headers, timeout, resource }))
    }
}

/// `name=value,name=value`, with values that are percent-encoded.
fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            // The value may be a secret, so it is not repeated.
            let (name, value) = part.split_once('=').ok_or_else(|| {
                "OTEL_EXPORTER_OTLP_HEADERS or OTEL_RESOURCE_ATTRIBUTES has a part without a =".to_owned()
            })?;
            Ok((name.trim().to_owned(), decoded(value.trim())))
        })
        .collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = code.and_then(|code| u8::from_str_radix(std::str::from_utf8(code).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        given(None, variables)
    }

    fn given(endpoint: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        Settings::new(endpoint.map(str::to_owned), |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const BASE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");

    #[test]
    fn nothing_is_exported_unless_somebody_says_where_to() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), Ok(None));
        assert_eq!(read(&[BASE, ("OTEL_SDK_DISABLED", "TRUE")]), Ok(None));
        assert_eq!(read(&[BASE, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
        assert_eq!(read(&[BASE, ("OTEL_TRACES_EXPORTER", "console")]), Ok(None));
    }

    #[test]
    fn what_the_host_says_counts_more_than_the_environment_but_for_switching_off() {
        let own = Some("https://own:4318/");
        let url = |variables: &[(&str, &str)]| given(own, variables).unwrap().map(|settings| settings.url);
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/here");
        for variables in [&[][..], &[BASE], &[BASE, traces]] {
            assert_eq!(url(variables).as_deref(), Some("https://own:4318/v1/traces"));
        }
        assert_eq!(url(&[("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(url(&[("OTEL_TRACES_EXPORTER", "none")]), None);
        assert_eq!(given(own, &[("OTEL_SERVICE_NAME", "x")]).unwrap().unwrap().resource[0].1, "x");
    }

    #[test]
    fn the_more_particular_variable_counts() {
        let settings = read(&[BASE]).unwrap().unwrap();
        assert_eq!((settings.url.as_str(), settings.timeout), ("http://c:4318/v1/traces", TIMEOUT));
        assert_eq!(settings.resource, [("service.name".to_owned(), "stent".to_owned())]);
        let settings = read(&[
            BASE,
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://other/here"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "authorization=Basic%20eA==, b = %zz "),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "250"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=x,host.name=h"),
            ("OTEL_SERVICE_NAME", "orders"),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!((settings.url.as_str(), settings.timeout.as_millis()), ("https://other/here", 250));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(settings.headers, [pair("authorization", "Basic eA=="), pair("b", "%zz")]);
        assert_eq!(settings.resource, [pair("host.name", "h"), pair("service.name", "orders")]);
    }

    #[test]
    fn what_can_not_be_done_is_told() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1s"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "c:4317"),
        ] {
            let told = read(&[BASE, (name, value)]).unwrap_err();
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
