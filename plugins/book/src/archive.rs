//! ZIP archives from anyone: nothing is expanded further than [`limits`] allow.

use std::io::{Cursor, Read};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::error::{Error, Kind};
use crate::limits;

/// An archive whose directory was read, and whose parts were not yet.
pub struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    names: Vec<String>,
    /// What the parts that were read expanded to so far.
    expanded: u64,
}

impl<'a> Archive<'a> {
    /// Reads the directory of an archive.
    ///
    /// # Errors
    /// When it is damaged or has too many parts.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(|e| Error::broken("the archive's directory", e))?;
        if zip.len() > limits::PARTS {
            return Err(Error::new(
                Kind::TooLarge,
                format!("the archive has {} parts", zip.len()),
            ));
        }
        let names = (0..zip.len())
            .map(|i| {
                zip.name_for_index(i)
                    .and_then(Result::ok)
                    .map(|name| name.into_owned())
                    .unwrap_or_default()
            })
            .collect();
        Ok(Self {
            zip,
            names,
            expanded: 0,
        })
    }

    /// The parts' names, in the order of the directory.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The bytes of the first part whose name fits.
    ///
    /// # Errors
    /// When it is damaged, encrypted or too large.
    pub fn read_first(&mut self, fits: impl Fn(&str) -> bool) -> Result<Option<Vec<u8>>, Error> {
        let Some(index) = self.names.iter().position(|name| fits(name)) else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        self.expand(index, &mut bytes)?;
        Ok(Some(bytes))
    }

    /// Expands every part, keeping none: afterwards it is known that all of them can be read, and that they are not too large.
    ///
    /// # Errors
    /// When one is damaged, encrypted or too large.
    pub fn check(&mut self) -> Result<(), Error> {
        for index in 0..self.zip.len() {
            self.expand(index, &mut Discard)?;
        }
        Ok(())
    }

    fn expand(&mut self, index: usize, sink: &mut impl Sink) -> Result<(), Error> {
        let name = self.names.get(index).cloned().unwrap_or_default();
        let mut part = self.zip.by_index(index).map_err(|e| match e {
            ZipError::UnsupportedArchive(text) if text.contains("assword") => {
                Error::new(Kind::Encrypted, format!("{name} in the archive needs a password"))
            }
            ZipError::UnsupportedArchive(text) => {
                Error::new(Kind::Unsupported, format!("{name} in the archive: {text}"))
            }
            e => Error::broken(&format!("{name} in the archive"), e),
        })?;
        // The directory may lie about sizes; what counts is what comes out, and it is looked at while it comes.
        let compressed = part.compressed_size();
        let mut size = 0_u64;
        let mut buffer = [0; 16 << 10];
        loop {
            let read = part
                .read(&mut buffer)
                .map_err(|e| Error::broken(&format!("{name} in the archive"), e))?;
            if read == 0 {
                return Ok(());
            }
            size += read as u64;
            self.expanded += read as u64;
            if size > limits::PART || self.expanded > limits::TOTAL {
                return Err(Error::new(
                    Kind::TooLarge,
                    format!("{name} in the archive expands to more than {size} bytes"),
                ));
            }
            if size > limits::RATIO_FROM && size > compressed.saturating_mul(limits::RATIO) {
                let reason = format!(
                    "{name} in the archive expands to more than {} times its size",
                    limits::RATIO
                );
                return Err(Error::new(Kind::TooLarge, reason));
            }
            sink.take(&buffer[..read]);
        }
    }
}

trait Sink {
    fn take(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

struct Discard;

impl Sink for Discard {
    fn take(&mut self, _: &[u8]) {}
}
