//! Moments under a rate: no span holds more than it may, and who asks again gets the same.

use std::sync::Arc;

use potok_journal::{Reservation, Store, Write, Written};

async fn reserve(store: &Arc<dyn Store>, rate: &str, key: &str, now: i64, earliest: i64) -> i64 {
    let asked = Reservation {
        rate: rate.to_owned(),
        key: key.to_owned(),
        limit: 3,
        span: 100,
        now,
        earliest,
    };
    match store.commit(Write::Reserve(asked)).await.unwrap() {
        Written::Reserved(moment) => moment,
        other => panic!("{other:?}"),
    }
}

pub async fn no_span_holds_more_than_it_may(store: Arc<dyn Store>) {
    let mut moments = Vec::new();
    for number in 0..10 {
        moments.push(reserve(&store, "a", &format!("first-{number}"), 1_000, 1_000).await);
    }
    assert_eq!(
        moments,
        [1_000, 1_000, 1_000, 1_100, 1_100, 1_100, 1_200, 1_200, 1_200, 1_300]
    );
    assert_eq!(reserve(&store, "b", "other", 1_000, 1_000).await, 1_000, "another rate");
    // Late ones and early ones, in any order.
    for (number, now) in [1_310, 1_290, 1_500, 1_450, 1_300, 1_700, 1_600]
        .into_iter()
        .enumerate()
    {
        let ahead = if number % 2 == 0 { 0 } else { 250 };
        let moment = reserve(&store, "a", &format!("then-{number}"), now, now + ahead).await;
        assert!(moment >= now + ahead);
        moments.push(moment);
    }
    moments.sort_unstable();
    assert!(moments.windows(4).all(|four| four[3] - four[0] >= 100), "{moments:?}");
}

pub async fn who_asks_again_gets_the_same_moment(store: Arc<dyn Store>) {
    for key in ["1", "2", "3"] {
        assert_eq!(reserve(&store, "a", key, 1_000, 1_000).await, 1_000);
    }
    assert_eq!(reserve(&store, "a", "4", 1_000, 1_000).await, 1_100);
    assert_eq!(reserve(&store, "a", "4", 1_050, 1_050).await, 1_100);
    assert_eq!(
        reserve(&store, "a", "5", 1_050, 1_050).await,
        1_100,
        "asking again took no place"
    );
    // What is over is forgotten, and counts no more.
    for number in 0..40 {
        reserve(&store, "b", &number.to_string(), 9_000 + number, 9_000 + number).await;
    }
    assert_eq!(reserve(&store, "a", "1", 9_100, 9_100).await, 9_100);
}
