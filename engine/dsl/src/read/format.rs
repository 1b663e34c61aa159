//! The patterns of the schema, by hand: names, versions, expressions, URIs.

/// `^[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$`, a DNS label.
pub(super) fn is_label(text: &str) -> bool {
    is_host_like(text, |b| b == b'-')
}

/// `^[a-zA-Z0-9](?:[a-zA-Z0-9-.]{0,61}[a-zA-Z0-9])?$`, a host as the schema sees it.
pub(super) fn is_host(text: &str) -> bool {
    is_host_like(text, |b| b == b'-' || b == b'.')
}

fn is_host_like(text: &str, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    let ends = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    bytes.len() <= 63
        && ends(bytes.first())
        && ends(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || inner(*b))
}

/// A semantic version (semver.org, 2.0.0).
pub(super) fn is_semver(text: &str) -> bool {
    let (rest, build) = text
        .split_once('+')
        .map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest
        .split_once('-')
        .map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(|part| word(part) && (!digits(part) || number(part))))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// `^\s*\$\{.+\}\s*$`: a runtime expression, whole.
pub(super) fn is_expression(text: &str) -> bool {
    let inner = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.trim().is_empty())
}

/// The name of a variable of jq, without its `$`.
pub(super) fn is_variable(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A token of HTTP (RFC 9110, section 5.6.2), such as a method.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// A URI reference or URI template as the schema's pattern has it: some text without spaces that is no expression.
pub(super) fn is_uri(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace) && !text.starts_with("${")
}

/// Whether the braces of a URI template are in order: `{name}`, neither nested nor empty.
pub(super) fn has_sound_braces(text: &str) -> bool {
    let mut rest = text;
    while let Some(index) = rest.find(['{', '}']) {
        let Some(inside) = rest[index..].strip_prefix('{') else {
            return false;
        };
        match inside.find(['{', '}']) {
            Some(end) if end > 0 && inside[end..].starts_with('}') => rest = &inside[end + 1..],
            _ => return false,
        }
    }
    true
}

/// A JSON pointer (RFC 6901).
pub(super) fn is_json_pointer(text: &str) -> bool {
    let sound = |part: &str| part.split('~').skip(1).all(|rest| rest.starts_with(['0', '1']));
    text.is_empty() || text.starts_with('/') && sound(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in [
            "0.0.0",
            "1.2.3",
            "1.0.0-alpha.1",
            "1.0.0-0.3.7",
            "1.0.0+build.01",
            "1.0.0-x-y+z",
            "10.20.30",
        ] {
            assert!(is_semver(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.0",
            "01.0.0",
            "1.0.0-",
            "1.0.0-01",
            "1.0.0+",
            "v1.0.0",
            "1.0.0.0",
            "1.0.0-a..b",
            "1.0.0+a+b",
        ] {
            assert!(!is_semver(bad), "{bad}");
        }
    }

    #[test]
    fn labels() {
        for good in ["a", "A1", "a-b", &"x".repeat(63)] {
            assert!(is_label(good), "{good}");
        }
        for bad in ["", "-a", "a-", "a_b", "a.b", "a b", &"x".repeat(64), "é"] {
            assert!(!is_label(bad), "{bad}");
        }
        assert!(is_host("a.b-c.d"));
    }

    #[test]
    fn expressions_and_uris() {
        assert!(is_expression(" ${ .a } "));
        for bad in ["${}", "${ }", ".a", "x ${ .a }", "${ .a"] {
            assert!(!is_expression(bad), "{bad}");
        }
        assert!(is_uri("https://example.com/{id}?a=b#c") && is_uri("/relative") && is_uri("a.json"));
        assert!(!is_uri("") && !is_uri("https://x/ y") && !is_uri("${ .a }"));
        assert!(
            has_sound_braces("https://x/{a}/{b}")
                && !has_sound_braces("/{a")
                && !has_sound_braces("/a}")
                && !has_sound_braces("/{}")
        );
    }

    #[test]
    fn pointers() {
        assert!(is_json_pointer("") && is_json_pointer("/do/0/a~1b"));
        assert!(!is_json_pointer("do/0") && !is_json_pointer("/a~2"));
    }
}
