//! The same book in every format, real files, and files that nobody should be able to hurt with.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use book::{Book, Error, Format, Kind, extract};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const KASHTANKA: &str = "../../../../workflows/books/kashtanka.txt";
const ALICE: &str = "../../../../workflows/books/alice-in-wonderland.txt";

/// The crate's folder, as it is now: a build in a shared cache may be of another checkout.
fn here() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from)
}

fn file(name: &str) -> Vec<u8> {
    let path = here().join("tests/data").join(name);
    fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn read(name: &str) -> Book {
    extract(&file(name), None, None).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn refused(bytes: &[u8]) -> Error {
    extract(bytes, None, None).expect_err("it should be refused")
}

fn archive(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What KOI8-R cannot say, as the fixture says it.
fn for_koi8(text: &str) -> String {
    text.replace('—', "-").replace('…', "...").replace(['«', '»'], "\"")
}

#[test]
fn the_same_book_in_every_format_has_the_same_chapters() {
    let plain = read(KASHTANKA);
    assert_eq!((plain.format, plain.encoding), (Format::Txt, Some("UTF-8")));
    assert_eq!(plain.title.as_deref(), Some("Каштанка"));
    assert_eq!(plain.author.as_deref(), Some("Антон Павлович Чехов"));
    assert_eq!(plain.language.as_deref(), Some("ru"));
    let titles: Vec<_> = plain.chapters.iter().map(|c| c.title.as_deref().unwrap()).collect();
    assert_eq!(
        titles,
        [
            "Глава первая. Дурное поведение",
            "Глава вторая. Таинственный незнакомец",
            "Глава третья. Новое, очень приятное знакомство",
            "Глава четвёртая. Чудеса в решете",
            "Глава пятая. Талант! Талант!",
            "Глава шестая. Беспокойная ночь",
            "Глава седьмая. Неудачный дебют",
        ]
    );
    assert!(
        plain.chapters[0]
            .text
            .starts_with("Молодая рыжая собака — помесь такса с дворняжкой")
    );
    assert!(plain.chapters[6].text.ends_with("тяжёлый сон…"));

    for (name, format, encoding) in [
        ("kashtanka.cp1251.txt", Format::Txt, Some("windows-1251")),
        ("kashtanka.utf16le.txt", Format::Txt, Some("UTF-16LE")),
        ("kashtanka.utf16be.txt", Format::Txt, Some("UTF-16BE")),
        ("kashtanka.fb2", Format::Fb2, Some("windows-1251")),
        ("kashtanka.fb2.zip", Format::Fb2Zip, Some("windows-1251")),
        ("kashtanka.epub", Format::Epub, None),
        ("kashtanka.pdf", Format::Pdf, None),
    ] {
        let book = read(name);
        for (found, expected) in book.chapters.iter().zip(&plain.chapters) {
            assert_eq!(found.title, expected.title, "{name}");
            for (found, expected) in found.text.split("\n\n").zip(expected.text.split("\n\n")) {
                assert_eq!(found, expected, "{name}");
            }
        }
        assert_eq!(
            book,
            Book {
                format,
                encoding,
                ..plain.clone()
            },
            "{name}"
        );
    }
}

/// KOI8-R has no dash, no ellipsis and no angle quotes: the text was written with what it has, and is otherwise the same.
#[test]
fn koi8_r_differs_in_punctuation_alone() {
    let plain = read(KASHTANKA);
    let book = read("kashtanka.koi8-r.txt");
    assert_eq!(book.encoding, Some("KOI8-R"));
    let expected: Vec<_> = plain.chapters.iter().map(|c| for_koi8(&c.text)).collect();
    let found: Vec<_> = book.chapters.iter().map(|c| c.text.clone()).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_text_with_lines_broken_at_a_column() {
    let book = read(ALICE);
    assert_eq!(book.title.as_deref(), Some("ALICE’S ADVENTURES IN WONDERLAND"));
    assert_eq!(book.author.as_deref(), Some("Lewis Carroll"));
    assert_eq!(book.language.as_deref(), Some("en"));
    assert_eq!(book.chapters.len(), 12);
    assert_eq!(
        book.chapters[0].title.as_deref(),
        Some("CHAPTER I. Down the Rabbit-Hole")
    );
    assert_eq!(
        book.chapters[10].title.as_deref(),
        Some("CHAPTER XI. Who Stole the Tarts?")
    );
    assert!(book.chapters[0].text.starts_with(
        "Alice was beginning to get very tired of sitting by her sister on the bank, and of having nothing to do: once or twice"
    ));
    assert!(
        book.chapters[1]
            .text
            .contains("‘How doth the little crocodile\nImprove his shining tail,")
    );
    assert!(book.chapters[11].text.ends_with("the happy summer days."));
}

#[test]
fn a_format_that_is_named_is_not_guessed() {
    let text = "<FictionBook as a word of a plain text.";
    assert_eq!(
        extract(text.as_bytes(), Some(Format::Txt), None).unwrap().chapters[0].text,
        text
    );
    assert_eq!(
        extract(b"plain", Some(Format::Pdf), None).unwrap_err().kind,
        Kind::Broken
    );
    assert_eq!(
        extract(b"plain", Some(Format::Epub), None).unwrap_err().kind,
        Kind::Broken
    );
    assert_eq!(
        extract(b"plain", Some(Format::Fb2), None).unwrap_err().kind,
        Kind::Broken
    );
}

#[test]
fn a_file_that_is_cut_off_is_broken_wherever_it_is_cut() {
    for name in ["kashtanka.fb2", "kashtanka.fb2.zip", "kashtanka.epub", "kashtanka.pdf"] {
        let bytes = file(name);
        for part in [2, 3, 5, 9] {
            let error = refused(&bytes[..bytes.len() * (part - 1) / part]);
            assert_eq!(error.kind, Kind::Broken, "{name}: {error}");
        }
    }
}

#[test]
fn bytes_that_were_changed_never_panic() {
    for name in [
        "kashtanka.fb2",
        "kashtanka.fb2.zip",
        "kashtanka.epub",
        "kashtanka.pdf",
        "kashtanka.koi8-r.txt",
    ] {
        let original = file(name);
        let mut seed = 1_u64;
        for _ in 0..10 {
            let mut bytes = original.clone();
            for _ in 0..8 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let at = (seed >> 16) as usize % bytes.len();
                bytes[at] = (seed >> 40) as u8;
            }
            let _ = extract(&bytes, None, None);
        }
    }
}

#[test]
fn protected_files_say_so() {
    let mut zip = file("kashtanka.fb2.zip");
    // The flag of an encrypted part, in its local header and in the directory.
    for (header, flags) in [(b"PK\x03\x04", 6), (b"PK\x01\x02", 8)] {
        let at = zip.windows(4).position(|w| w == header).unwrap();
        zip[at + flags] |= 1;
    }
    let pdf = String::from(
        "/Encrypt << /Filter /Standard /V 1 /R 2 /P -4 /O (0123456789abcdef0123456789abcdef) /U (0123456789abcdef0123456789abcdef) >> /ID [(a) (a)] /Root",
    );
    let bytes = file("kashtanka.pdf");
    let at = bytes.windows(9).rposition(|w| w == b"/Root 1 0").unwrap();
    let pdf = [&bytes[..at], pdf.as_bytes(), &bytes[at + 5..]].concat();
    let rights = |method: &str| {
        format!("<encryption><EncryptedData><EncryptionMethod Algorithm=\"{method}\"/></EncryptedData></encryption>")
            .into_bytes()
    };
    let epub = |method: &str| {
        archive(&[
            ("META-INF/container.xml", b"<container/>"),
            ("META-INF/encryption.xml", &rights(method)),
        ])
    };
    for (name, bytes) in [
        ("zip", zip),
        ("pdf", pdf),
        ("epub", epub("http://www.w3.org/2001/04/xmlenc#aes128-cbc")),
    ] {
        let error = refused(&bytes);
        assert_eq!(error.kind, Kind::Encrypted, "{name}: {error}");
    }
    // Fonts alone may be obfuscated: what stands against this one is its package.
    assert_eq!(refused(&epub("http://www.idpf.org/2008/embedding")).kind, Kind::Broken);
}

#[test]
fn bombs_are_found_before_they_are_kept() {
    let zeros = vec![b' '; 17 << 20];
    for (name, bytes) in [
        ("zip", archive(&[("bomb.fb2", &zeros)])),
        (
            "epub",
            archive(&[("META-INF/container.xml", b"<container/>"), ("bomb.png", &zeros)]),
        ),
        ("pdf", pdf_bomb(&zeros)),
    ] {
        assert!(bytes.len() < 1 << 20, "{name} is {} bytes", bytes.len());
        let error = refused(&bytes);
        assert_eq!(error.kind, Kind::TooLarge, "{name}: {error}");
    }
}

fn pdf_bomb(zeros: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(zeros).unwrap();
    let packed = packed.finish().unwrap();
    let objects: [Vec<u8>; 4] = [
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_vec(),
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << >> >>".to_vec(),
        [
            format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len()).as_bytes(),
            &packed,
            b"\nendstream",
        ]
        .concat(),
    ];
    let mut pdf = b"%PDF-1.7\n".to_vec();
    let mut table = String::new();
    for (i, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", pdf.len()));
        pdf.extend([format!("{} 0 obj\n", i + 1).as_bytes(), object, b"\nendobj\n"].concat());
    }
    let start = pdf.len();
    let tail = format!(
        "xref\n0 5\n0000000000 65535 f \n{table}trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    );
    pdf.extend(tail.as_bytes());
    pdf
}

#[test]
fn what_is_no_book_is_named() {
    for (bytes, kind, reason) in [
        (&b""[..], Kind::Empty, "no bytes"),
        (b" \n\n", Kind::Empty, "no text"),
        (b"{\\rtf1\\ansi}", Kind::Unsupported, "an RTF file"),
        (b"\x89PNG\r\n\x1a\n", Kind::Unsupported, "a picture"),
        (b"<!DOCTYPE html><html></html>", Kind::Unsupported, "a web page"),
        (b"<?xml version=\"1.0\"?><svg/>", Kind::Unsupported, "not FB2"),
        (b"\x7fELF\x02\x01\x01\0\0\0", Kind::Unsupported, "neither text"),
        (
            b"<?xml version='1.0'?><FictionBook><description/></FictionBook>",
            Kind::Broken,
            "no <body>",
        ),
        (
            b"<?xml version='1.0' encoding='klingon'?><FictionBook><body/></FictionBook>",
            Kind::Unsupported,
            "klingon",
        ),
    ] {
        let error = refused(bytes);
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.reason.contains(reason), "{error}");
    }
    let error = refused(&archive(&[("picture.jpg", b"x")]));
    assert_eq!(
        (error.kind, error.reason.as_str()),
        (Kind::Unsupported, "this is a ZIP archive without EPUB or FB2 in it")
    );
}
