//! A collector of OpenTelemetry's, for tests: it takes what is posted, and shows it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A span, with the resource that it was sent for.
#[derive(Clone, Debug)]
pub struct Told {
    pub span: Span,
    pub service: String,
}

#[derive(Default)]
struct Taken {
    spans: Vec<Told>,
    heads: Vec<String>,
    requests: usize,
}

pub struct Collector {
    pub url: String,
    taken: Arc<Mutex<Taken>>,
}

/// The value of an attribute, as text.
pub fn attribute(attributes: &[KeyValue], name: &str) -> Option<String> {
    let value = attributes.iter().find(|attribute| attribute.key == name)?.value.clone()?.value?;
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        other => panic!("{name} is {other:?}"),
    })
}

impl Told {
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.span.attributes, name)
    }

    pub fn seconds(&self) -> f64 {
        (self.span.end_time_unix_nano - self.span.start_time_unix_nano) as f64 / 1e9
    }
}

impl Collector {
    /// `refusals`: so many requests are first answered with this status.
    pub fn new(refusals: usize, status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let taken = Arc::new(Mutex::new(Taken::default()));
        let own = Arc::clone(&taken);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let taken = Arc::clone(&own);
                std::thread::spawn(move || serve(stream.unwrap(), &taken, refusals, status));
            }
        });
        Self { url, taken }
    }

    pub fn spans(&self) -> Vec<Told> {
        self.taken.lock().unwrap().spans.clone()
    }

    /// The heads of the requests, in small letters.
    pub fn heads(&self) -> Vec<String> {
        self.taken.lock().unwrap().heads.clone()
    }
}

fn serve(stream: TcpStream, taken: &Mutex<Taken>, refusals: usize, status: u16) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            // The exporter has gone.
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        let length = head.split("content-length:").nth(1).expect(&head).lines().next().unwrap().trim();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let mut all = taken.lock().unwrap();
        all.requests += 1;
        let answer = if all.requests <= refusals { status } else { 200 };
        if answer == 200 {
            let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
            for resource in request.resource_spans {
                let service = attribute(&resource.resource.unwrap().attributes, "service.name").unwrap();
                let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
                all.spans.extend(spans.map(|span| Told { span, service: service.clone() }));
            }
            all.heads.push(head);
        }
        drop(all);
        write!(reader.get_mut(), "HTTP/1.1 {answer} x\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}
