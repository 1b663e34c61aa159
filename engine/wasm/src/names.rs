//! Names: interfaces as components write them, functions as people call them, and the nearest name to a mistyped one.

use crate::error::InstallError;

/// `potok:ai/chat@1.0.0` in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InterfaceName<'a> {
    /// `potok`
    pub(crate) namespace: &'a str,
    /// `ai`
    pub(crate) package: &'a str,
    /// `chat`
    pub(crate) interface: &'a str,
    /// `1.0.0`
    pub(crate) version: Option<&'a str>,
}

impl<'a> InterfaceName<'a> {
    /// Parses an import's or export's name; `None` for one that is no interface of a package.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (path, version) = match text.split_once('@') {
            Some((path, version)) => (path, Some(version)),
            None => (text, None),
        };
        let (package, interface) = path.split_once('/')?;
        let (namespace, package) = package.split_once(':')?;
        let word = |w: &str| !w.is_empty() && !w.contains(['/', ':']);
        (word(namespace) && word(package) && word(interface)).then_some(Self {
            namespace,
            package,
            interface,
            version,
        })
    }

    /// Without the version: `potok:ai/chat`.
    pub(crate) fn id(&self) -> String {
        format!("{}:{}/{}", self.namespace, self.package, self.interface)
    }

    /// `potok:ai`
    pub(crate) fn package_id(&self) -> String {
        format!("{}:{}", self.namespace, self.package)
    }

    /// The name by which a function of this interface is called: `book.extract`, and `pkg.iface.fn` where package and
    /// interface differ.
    pub(crate) fn function(&self, function: &str) -> String {
        if self.package == self.interface {
            format!("{}.{function}", self.package)
        } else {
            format!("{}.{}.{function}", self.package, self.interface)
        }
    }

    /// The version, `0.0.0` for a package without one.
    pub(crate) fn semver(&self) -> Result<String, InstallError> {
        let Some(version) = self.version else {
            return Ok("0.0.0".to_owned());
        };
        match semver::Version::parse(version) {
            Ok(_) => Ok(version.to_owned()),
            Err(_) => Err(InstallError::BadVersion {
                interface: self.id(),
                version: version.to_owned(),
            }),
        }
    }
}

/// The candidate nearest to a word, if any is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate.to_owned())
}

/// A WIT name as a JSON key: `max-length` is `max_length`.
pub(crate) fn snake(name: &str) -> String {
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn functions_are_named_after_package_and_interface() {
        let name = |text| InterfaceName::parse(text).unwrap();
        assert_eq!(name("potok:book/book@1.0.0").function("extract"), "book.extract");
        assert_eq!(name("potok:text/tools@1.0.0").function("split"), "text.tools.split");
        assert_eq!(name("potok:book/book@1.0.0").id(), "potok:book/book");
        assert_eq!(name("potok:book/book").semver().unwrap(), "0.0.0");
        assert!(name("potok:book/book@1").semver().is_err());
        for bad in ["", "run", "a/b", "a:b", ":/", "a:b/c/d"] {
            assert_eq!(InterfaceName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_it_is_near() {
        let names = ["book.extract", "text.split", "content.summarize"];
        assert_eq!(nearest("book.extrct", names).as_deref(), Some("book.extract"));
        assert_eq!(nearest("text.spilt", names).as_deref(), Some("text.split"));
        assert_eq!(nearest("mail.send", names), None);
    }
}
