//! A `max_concurrent_per_key` that comes, changes and goes, while tasks run and wait.

use super::house::*;
use super::slots::{has_slots, many, per_key};

cases! {
    a_limit_that_comes_lets_wait_what_has_not_begun,
    a_higher_limit_lets_more_in_at_once,
    a_lower_limit_lets_in_nobody_until_enough_have_ended,
    without_the_limit_all_go,
}

async fn a_limit_that_comes_lets_wait_what_has_not_begun(store: Store) {
    store.worker("w", &["f"]).await;
    many(&store, "a", 5).await;
    let running = store.claim("w", 2).await;
    if !has_slots(&store, "w", vec![("f", per_key(1))]).await {
        return;
    }
    store.idle().await;
    store.complete(&running[0], "1").await;
    store.idle().await;
    store.complete(&running[1], "1").await;
    store.take().await;
    store.idle().await;
}

async fn a_higher_limit_lets_more_in_at_once(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1))]).await {
        return;
    }
    many(&store, "a", 4).await;
    many(&store, "b", 2).await;
    assert_eq!(store.claim("w", 9).await.len(), 2);
    store.worker_with("w", vec![("f", per_key(3))]).await;
    assert_eq!(store.claim("w", 9).await.len(), 3, "two of a, one of b");
    store.idle().await;
}

async fn a_lower_limit_lets_in_nobody_until_enough_have_ended(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(3))]).await {
        return;
    }
    many(&store, "a", 5).await;
    let taken = store.claim("w", 2).await;
    // The third has a slot and has not begun.
    store.worker_with("w", vec![("f", per_key(1))]).await;
    store.idle().await;
    store.complete(&taken[0], "1").await;
    store.idle().await;
    store.complete(&taken[1], "1").await;
    let next = store.take().await;
    store.idle().await;
    store.complete(&next, "1").await;
    store.take().await;
}

async fn without_the_limit_all_go(store: Store) {
    if !has_slots(&store, "w", vec![("f", per_key(1))]).await {
        return;
    }
    many(&store, "a", 4).await;
    let first = store.take().await;
    store.worker("w", &["f"]).await;
    let rest = store.claim("w", 9).await;
    assert_eq!(rest.len(), 3);
    // They are counted nevertheless, for when it comes again.
    many(&store, "a", 2).await;
    store.worker_with("w", vec![("f", per_key(1))]).await;
    for one in rest.iter().chain([&first]) {
        store.idle().await;
        store.complete(one, "1").await;
    }
    store.take().await;
    store.idle().await;
}
