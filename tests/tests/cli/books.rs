//! One book in every format, and files that are no books, through the whole of `potok call`.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use flate2::{Compression, Crc, write::DeflateEncoder};
use serde_json::Value;

use crate::rig::{Potok, repository};

fn data(name: &str) -> PathBuf {
    repository().join("plugins/book/tests/data").join(name)
}

async fn extract(file: &Path) -> Value {
    Potok::new()
        .run(&["call", "book.extract", "--file", &format!("book={}", file.display())])
        .await
        .json()
}

/// The titles and texts of the chapters with every run of white space as one space: where lines are broken, and how paragraphs are
/// set apart, is the one thing in which the formats may differ.
fn chapters(book: &Value) -> Vec<(String, String)> {
    let words = |value: &Value| value.as_str().unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    book["chapters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (words(&c["title"]), words(&c["text"])))
        .collect()
}

#[tokio::test]
async fn the_same_book_in_every_format_has_the_same_chapters() {
    let plain = extract(&repository().join("workflows/books/kashtanka.txt")).await;
    let expected = chapters(&plain);
    assert_eq!(expected.len(), 7);
    assert!(expected.iter().map(|(_, text)| text.chars().count()).sum::<usize>() > 20_000);
    for format in ["epub", "fb2", "fb2.zip", "pdf"] {
        let book = extract(&data(&format!("kashtanka.{format}"))).await;
        assert_eq!(book["format"], format.replace('.', "-"));
        for key in ["title", "author", "language"] {
            assert_eq!(book[key], plain[key], "{format}: {key}");
        }
        for (found, expected) in chapters(&book).iter().zip(&expected) {
            assert_eq!(found, expected, "{format}");
        }
        assert_eq!(chapters(&book).len(), expected.len(), "{format}");
    }
}

async fn refused(potok: &Potok, name: &str, bytes: &[u8], kind: &str) -> String {
    potok.write(name, bytes);
    let problem = potok
        .run(&["call", "book.extract", "--file", &format!("book={name}")])
        .await
        .problem();
    assert_eq!(problem["type"], format!("urn:potok:book:{kind}"), "{name}: {problem}");
    assert_eq!(problem["status"], 422, "{name}: {problem}");
    problem["detail"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_book_that_is_cut_off_is_broken() {
    let potok = Potok::new();
    for name in ["kashtanka.epub", "kashtanka.fb2", "kashtanka.fb2.zip", "kashtanka.pdf"] {
        let bytes = fs::read(data(name)).unwrap();
        let detail = refused(&potok, name, &bytes[..bytes.len() / 2], "broken").await;
        assert!(detail.contains("get the file again"), "{name}: {detail}");
    }
}

#[tokio::test]
async fn a_protected_book_says_so() {
    let mut zip = fs::read(data("kashtanka.fb2.zip")).unwrap();
    // The flag of an encrypted part, in its local header and in the directory.
    for (header, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = zip.windows(4).position(|window| window == header).unwrap();
        zip[at + flags] |= 1;
    }
    let detail = refused(&Potok::new(), "locked.fb2.zip", &zip, "encrypted").await;
    assert!(!detail.is_empty());
}

#[tokio::test]
async fn a_bomb_is_too_large_and_does_no_harm() {
    let bomb = zip_of("bomb.fb2", 64 << 20);
    assert!(bomb.len() < 1 << 17, "64 MiB in {} bytes", bomb.len());
    let detail = refused(&Potok::new(), "bomb.fb2.zip", &bomb, "too-large").await;
    assert!(!detail.is_empty());
}

#[tokio::test]
async fn what_is_no_book_is_named() {
    let potok = Potok::new();
    refused(&potok, "empty.txt", b"", "empty").await;
    let detail = refused(&potok, "picture.png", b"\x89PNG\r\n\x1a\n0000", "unsupported").await;
    assert!(detail.contains("a picture"), "{detail}");
}

/// A ZIP archive with one part: so many spaces.
fn zip_of(name: &str, size: usize) -> Vec<u8> {
    let mut crc = Crc::new();
    let mut packed = DeflateEncoder::new(Vec::new(), Compression::best());
    let spaces = vec![b' '; 1 << 20];
    for _ in 0..size >> 20 {
        crc.update(&spaces);
        packed.write_all(&spaces).unwrap();
    }
    let packed = packed.finish().unwrap();
    let [sum, length, size] = [
        crc.sum(),
        u32::try_from(packed.len()).unwrap(),
        u32::try_from(size).unwrap(),
    ]
    .map(u32::to_le_bytes);
    let named = u16::try_from(name.len()).unwrap().to_le_bytes();
    // What the local header and the directory have in common: version, flags, method 8, time, date, sums, sizes, lengths of name and extra.
    let common = [
        &[20, 0, 0, 0, 8, 0, 0, 0, 0, 0],
        &sum[..],
        &length,
        &size,
        &named,
        &[0, 0],
    ]
    .concat();
    let mut zip = [b"PK\x03\x04", &common[..], name.as_bytes(), &packed].concat();
    let start = u32::try_from(zip.len()).unwrap().to_le_bytes();
    let entry = [b"PK\x01\x02\x14\0", &common[..], &[0; 14], name.as_bytes()].concat();
    let entries = u32::try_from(entry.len()).unwrap().to_le_bytes();
    zip.extend([&entry[..], b"PK\x05\x06\0\0\0\0\x01\0\x01\0", &entries, &start, &[0, 0]].concat());
    zip
}
