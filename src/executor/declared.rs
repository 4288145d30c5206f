//! What has been registered in an executor, for its calls: they hold from the registration on, also before a worker has
//! made them known to the store.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::model::FunctionOptions;

#[derive(Default)]
pub(super) struct Declared(RwLock<HashMap<String, Arc<FunctionOptions>>>);

impl Declared {
    pub(super) fn add(&self, function: &str, options: Arc<FunctionOptions>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(function.to_owned(), options);
    }

    pub(super) fn remove(&self, function: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(function);
    }

    pub(super) fn get(&self, function: &str) -> Option<Arc<FunctionOptions>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(function).map(Arc::clone)
    }
}
