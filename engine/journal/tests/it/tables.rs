//! Providers' tables: what every store must hold of them.

use std::sync::Arc;

use potok_journal::{ProviderMigration, SqlStatement, SqlValue, Store, StoreError, Write, Written};

use crate::{opening, row};

const POSTS: ProviderMigration = ProviderMigration {
    owner: "telegram",
    version: 1,
    sql: "CREATE TABLE posts (key TEXT PRIMARY KEY, state TEXT NOT NULL, bytes BYTEA, score DOUBLE PRECISION);
          -- a comment; with a semicolon
          CREATE INDEX posts_by_state ON posts (state)",
};

fn sql(sql: &'static str, params: &[SqlValue]) -> SqlStatement {
    SqlStatement {
        sql,
        params: params.to_vec(),
    }
}

fn text(text: &str) -> SqlValue {
    SqlValue::Text(text.to_owned())
}

pub(crate) async fn providers_have_their_tables(store: Arc<dyn Store>) {
    store.apply_migrations(&[POSTS]).await.unwrap();
    // Parameters count by their number, not by where they stand.
    let insert =
        "INSERT INTO posts (state, key, bytes, score) VALUES ($2, $1, $3, $4) RETURNING key, state, bytes, score";
    let all = vec![
        text("k1"),
        text("intent"),
        SqlValue::Blob(vec![0, 255]),
        SqlValue::Real(0.5),
    ];
    let update = sql("UPDATE posts SET state = $1", &[text("sent")]);
    let written = store
        .commit(Write::Tables(vec![sql(insert, &all), update]))
        .await
        .unwrap();
    assert_eq!(written, Written::Rows(vec![vec![all], vec![]]));

    let second = [text("k2"), text("intent"), SqlValue::Null, SqlValue::Null];
    let clash = [text("k1"), text("intent"), SqlValue::Null, SqlValue::Integer(1)];
    let refused = store
        .commit(Write::Tables(vec![sql(insert, &second), sql(insert, &clash)]))
        .await;
    assert!(
        matches!(refused, Err(StoreError::Refused(why)) if why.contains("UNIQUE")),
        "all or none"
    );
    let rows = store
        .read_rows(sql(
            "SELECT key, state, bytes, score FROM posts WHERE state = $1",
            &[text("sent")],
        ))
        .await;
    assert_eq!(
        rows.unwrap(),
        [[
            text("k1"),
            text("sent"),
            SqlValue::Blob(vec![0, 255]),
            SqlValue::Real(0.5)
        ]]
    );
    let none = store
        .read_rows(sql("SELECT key FROM posts WHERE key = 'k2'", &[]))
        .await
        .unwrap();
    assert!(none.is_empty());
}

pub(crate) async fn provider_statements_stay_in_their_place(store: Arc<dyn Store>) {
    store.apply_migrations(&[POSTS]).await.unwrap();
    for bad in [
        "COMMIT",
        "ROLLBACK",
        "RELEASE one",
        "PRAGMA synchronous = OFF",
        "ATTACH 'x' AS y",
        "DROP TABLE posts",
        "",
        "nonsense",
    ] {
        let refused = store.commit(Write::Tables(vec![sql(bad, &[])])).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{bad}: {refused:?}");
        assert!(
            matches!(store.read_rows(sql(bad, &[])).await, Err(StoreError::Refused(_))),
            "{bad}"
        );
    }
    for bad in [
        "DELETE FROM posts",
        "WITH x AS (SELECT 1) DELETE FROM posts",
        "SELECT 1; DELETE FROM posts",
        "SELECT $1",
    ] {
        assert!(
            matches!(store.read_rows(sql(bad, &[])).await, Err(StoreError::Refused(_))),
            "{bad}"
        );
    }
    let endless = "WITH RECURSIVE n(n) AS (VALUES(1) UNION ALL SELECT n + 1 FROM n) SELECT n, zeroblob(65536) FROM n";
    assert!(
        matches!(store.read_rows(sql(endless, &[])).await, Err(StoreError::Refused(why)) if why.contains("ask for less"))
    );
    store.commit(opening(row(1))).await.unwrap();
}

pub(crate) async fn migrations_run_forward_once(store: Arc<dyn Store>) {
    let second = ProviderMigration {
        version: 2,
        sql: "ALTER TABLE posts ADD COLUMN error TEXT",
        ..POSTS
    };
    let broken = ProviderMigration {
        version: 3,
        sql: "CREATE TABLE half (a BIGINT); CREATE TABLE half (a BIGINT)",
        ..POSTS
    };
    store.apply_migrations(&[POSTS]).await.unwrap();
    store.apply_migrations(&[second, POSTS]).await.unwrap();
    store.apply_migrations(&[POSTS, second]).await.unwrap();
    store.read_rows(sql("SELECT error FROM posts", &[])).await.unwrap();
    let refused = store.apply_migrations(&[POSTS, second, broken]).await.unwrap_err();
    assert!(
        matches!(&refused, StoreError::Refused(why) if why.starts_with("migration 3 of 'telegram'")),
        "{refused}"
    );
    assert!(
        store.read_rows(sql("SELECT * FROM half", &[])).await.is_err(),
        "nothing of it stays"
    );

    let newer = store.apply_migrations(&[POSTS]).await;
    assert_eq!(
        newer,
        Err(StoreError::Newer {
            owner: "telegram".to_owned(),
            found: 2,
            known: 1
        })
    );
    let changed = ProviderMigration {
        sql: "CREATE TABLE other (a BIGINT)",
        ..POSTS
    };
    for bad in [
        vec![changed, second],
        vec![second],
        vec![POSTS, POSTS],
        vec![ProviderMigration {
            owner: "journal",
            ..POSTS
        }],
        vec![ProviderMigration {
            owner: "x",
            sql: "PRAGMA user_version = 3",
            ..POSTS
        }],
    ] {
        let refused = store.apply_migrations(&bad).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
}
