//! A custom backend around another store: what is asked goes through JSON and back.

use std::sync::Arc;

use stent::backend::SharedBackend;
use stent::backend::custom::{Answerer, Custom, Reply};
use stent::codec::operations;
use stent::model::{CustomOptions, Feature, Result};

pub struct Around {
    inner: SharedBackend,
    runtime: tokio::runtime::Handle,
}

impl Answerer for Around {
    fn ask(&self, operation: &str, request: &str, reply: Reply) {
        let (inner, operation, request) = (Arc::clone(&self.inner), operation.to_owned(), request.to_owned());
        self.runtime.spawn(async move {
            reply.answer(operations::call(inner.as_ref(), &operation, Some(&request)).await);
        });
    }

    fn complain(&self, message: &str) {
        panic!("{message}");
    }
}

/// With the engine's operations and all features, or with the protocol's alone.
pub fn around(inner: SharedBackend, engine: bool) -> SharedBackend {
    around_with(inner, engine, if engine { Feature::ALL } else { &[] }).unwrap()
}

pub fn around_with(inner: SharedBackend, engine: bool, features: &[Feature]) -> Result<SharedBackend> {
    let answerer = Around { inner, runtime: tokio::runtime::Handle::current() };
    let mut names: Vec<String> = operations::PROTOCOL.iter().map(|name| (*name).to_owned()).collect();
    if engine {
        names.extend(operations::ENGINE.iter().map(|name| (*name).to_owned()));
    }
    let options = CustomOptions { features: features.to_vec(), ..CustomOptions::default() };
    Custom::open(Arc::new(answerer), Some(&names), &options).map(|store| store as SharedBackend)
}
