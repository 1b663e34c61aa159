//! What every guest needs beside its bindings: a component that carries the text of its contract.
//!
//! The doc comments of a WIT file do not survive in a component, so the text goes along in the custom section `potok-wit`, where
//! the host looks for it. It is one text: the package of the plugin first, then the packages that it uses, nested.
//!
//! What more than one of the shipped plugins has to know of language is here too ([`sentence`]).

pub mod sentence;

/// Puts the text of WIT files into the section `potok-wit`. The first file is the package that the plugin exports; the others are
/// those that it uses. Paths are relative to the file that this stands in.
///
/// ```
/// potok_guest::describe!("../../wit/deps/text.wit", "../../wit/deps/host.wit", "../../wit/deps/book.wit");
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! describe {
    ($main:literal $(, $used:literal)* $(,)?) => {
        const _: () = {
            const MAIN: &str = include_str!($main);
            const USED: &[&str] = &[$(include_str!($used)),*];
            #[cfg_attr(target_family = "wasm", used, unsafe(link_section = "potok-wit"))]
            #[allow(dead_code)]
            static WIT: [u8; $crate::length(MAIN, USED)] = $crate::join(MAIN, USED);
        };
    };
}

/// How many bytes [`join`] gives.
#[must_use]
pub const fn length(main: &str, used: &[&str]) -> usize {
    let mut length = main.len();
    let mut i = 0;
    while i < used.len() {
        length += used[i].len() + NESTING;
        i += 1;
    }
    length
}

/// One text of several packages: in all but the first, `package name;` becomes `package name{` and a brace closes it.
///
/// # Panics
/// While compiling, when `N` is not what [`length`] says or a file has no `package …;`.
#[must_use]
pub const fn join<const N: usize>(main: &str, used: &[&str]) -> [u8; N] {
    let (mut out, mut at) = copy([0; N], 0, main.as_bytes());
    let mut i = 0;
    while i < used.len() {
        let text = used[i].as_bytes();
        let header = header_end(text);
        let mut j = 0;
        while j < text.len() {
            out[at] = if j == header { b'{' } else { text[j] };
            at += 1;
            j += 1;
        }
        (out, at) = copy(out, at, b"}\n");
        i += 1;
    }
    assert!(at == N, "the length is that of `length`");
    out
}

/// What nesting a package adds to its text.
const NESTING: usize = "}\n".len();

const fn copy<const N: usize>(mut out: [u8; N], mut at: usize, text: &[u8]) -> ([u8; N], usize) {
    let mut i = 0;
    while i < text.len() {
        out[at] = text[i];
        at += 1;
        i += 1;
    }
    (out, at)
}

/// The place of the semicolon that ends the line `package …;`.
const fn header_end(text: &[u8]) -> usize {
    let word = b"package ";
    let mut line = 0;
    while line < text.len() {
        let mut i = 0;
        while i < word.len() && line + i < text.len() && text[line + i] == word[i] {
            i += 1;
        }
        let header = i == word.len();
        while line < text.len() && text[line] != b'\n' {
            if header && text[line] == b';' {
                return line;
            }
            line += 1;
        }
        line += 1;
    }
    panic!("a WIT file begins with its package")
}

#[cfg(test)]
mod tests {
    use super::{join, length};

    #[test]
    fn used_packages_are_nested() {
        const MAIN: &str = "package a:b;\ninterface x {}\n";
        const USED: &[&str] = &["/// The package of c; d.\npackage c:d@1.0.0;\ninterface y {}\n"];
        const TEXT: [u8; length(MAIN, USED)] = join(MAIN, USED);
        assert_eq!(
            std::str::from_utf8(&TEXT),
            Ok("package a:b;\ninterface x {}\n/// The package of c; d.\npackage c:d@1.0.0{\ninterface y {}\n}\n")
        );
    }
}
