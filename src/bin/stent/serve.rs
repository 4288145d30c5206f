//! A page for programs that fetch it again and again, by HTTP. However many ask, it is made once in a while.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Semaphore};

/// Connections at once; more wait to be taken.
const CONNECTIONS: usize = 64;

/// Who connects has so long to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// After an accept that failed, since the next one may fail as well.
const PAUSE: Duration = Duration::from_millis(100);

/// How a page is made.
pub type Make = Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, String>> + Send>> + Send + Sync>;

pub struct Page {
    make: Make,
    /// Its type, as HTTP says it.
    kind: &'static str,
    /// So long it is not made anew.
    keep: Duration,
    last: Mutex<Option<(Instant, Result<Bytes, String>)>>,
}

impl Page {
    pub fn new(make: Make, kind: &'static str, keep: Duration) -> Self {
        Self { make, kind, keep, last: Mutex::new(None) }
    }

    /// Who comes while it is made waits for that.
    async fn get(&self) -> Result<Bytes, String> {
        let mut last = self.last.lock().await;
        if let Some((made, page)) = &*last
            && made.elapsed() < self.keep
        {
            return page.clone();
        }
        let page = (self.make)().await.map(Bytes::from);
        *last = Some((Instant::now(), page.clone()));
        page
    }
}

/// Until the program ends. The page is at `/metrics`.
pub async fn serve(listener: TcpListener, page: Page) -> Infallible {
    let (page, places) = (Arc::new(page), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let place = Arc::clone(&places).acquire_owned().await;
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let page = Arc::clone(&page);
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, Arc::clone(&page)));
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
            // Who asked has gone; there is nobody to be told.
            let _gone = http.serve_connection(TokioIo::new(stream), answer).await;
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, page: Arc<Page>) -> Result<Response<Full<Bytes>>, Infallible> {
    let text = |status, text: String| {
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    };
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "this is only read: GET /metrics\n".to_owned());
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return Ok(response);
    }
    if request.uri().path() != "/metrics" {
        return Ok(text(StatusCode::NOT_FOUND, "the metrics are at /metrics\n".to_owned()));
    }
    let kind = page.kind;
    // In a task of its own: what is asked of the store is not broken off when who asked goes away.
    let made = tokio::spawn(async move { page.get().await }).await;
    Ok(match made.unwrap_or_else(|why| Err(why.to_string())) {
        Ok(page) => {
            let mut response = Response::new(Full::new(page));
            response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
            response
        }
        Err(why) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

    use super::*;

    fn counted(count: &'static AtomicU32, keep: Duration) -> Page {
        let make = move || -> Pin<Box<dyn Future<Output = _> + Send>> {
            Box::pin(async move {
                tokio::task::yield_now().await;
                Ok((count.fetch_add(1, SeqCst) + 1).to_string())
            })
        };
        Page::new(Box::new(make), "text/plain", keep)
    }

    #[tokio::test]
    async fn however_many_ask_the_page_is_made_once_in_a_while() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let page = Arc::new(counted(&MADE, Duration::from_secs(3600)));
        let asked: Vec<_> = (0..10)
            .map(|_| {
                let page = Arc::clone(&page);
                tokio::spawn(async move { page.get().await })
            })
            .collect();
        for one in asked {
            assert_eq!(one.await.unwrap().unwrap(), "1");
        }
    }

    #[tokio::test]
    async fn an_old_page_is_made_anew() {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let page = counted(&MADE, Duration::ZERO);
        assert_eq!(page.get().await.unwrap(), "1");
        assert_eq!(page.get().await.unwrap(), "2");
    }
}
