//! The runs of glyphs of a page: what each says and where it stands.

use std::collections::HashMap;

use lopdf::content::Content;
use lopdf::{Dictionary, Document, Encoding, Object, ObjectId};

use super::broken;
use crate::error::Error;
use crate::limits;

/// A run of glyphs, in the page's units with the origin at the lower left.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Where it begins.
    pub x: f32,
    /// Its base line.
    pub y: f32,
    /// Where it ends, as far as the font says.
    pub end: f32,
    /// The size of the letters.
    pub size: f32,
    /// What it says.
    pub text: String,
}

/// A font, as far as text needs it.
#[derive(Debug)]
struct Font {
    /// The dictionary that says what the codes mean.
    decoder: Dictionary,
    /// Whether a code has two bytes.
    wide: bool,
    /// The widths by code, in thousandths of the size.
    widths: HashMap<u32, f32>,
    /// The width of the other codes.
    default_width: f32,
}

/// The widest font that is read in full, in codes.
const WIDEST: usize = 70_000;

/// Reads the runs of a page.
///
/// # Errors
/// When its content cannot be read, or expands too far.
pub fn read(document: &Document, id: ObjectId, budget: &mut usize) -> Result<Vec<Run>, Error> {
    let content = document
        .get_page_content_with_limit(id, limits::PAGE.min(*budget))
        .map_err(|e| broken(&e))?;
    *budget = budget.saturating_sub(content.len());
    let dictionaries = document.get_page_fonts(id).map_err(|e| broken(&e))?;
    let fonts: HashMap<Vec<u8>, Font> = dictionaries
        .into_iter()
        .map(|(name, font)| (name, Font::read(document, font)))
        .collect();
    let mut encodings = HashMap::new();
    for (name, font) in &fonts {
        // A font that does not say what its codes mean gives no text; a bomb in it is an error.
        match font.decoder.get_font_encoding_with_limit(document, limits::PAGE) {
            Ok(encoding) => drop(encodings.insert(name.clone(), encoding)),
            Err(e @ lopdf::Error::Decompress(_)) => return Err(broken(&e)),
            Err(_) => {}
        }
    }
    let operations = Content::decode(&content).map_err(|e| broken(&e))?.operations;
    let mut painter = Painter::new(&fonts, &encodings);
    for operation in &operations {
        painter.paint(&operation.operator, &operation.operands);
    }
    Ok(painter.runs)
}

impl Font {
    fn read(document: &Document, dictionary: &Dictionary) -> Self {
        let mut decoder = dictionary.clone();
        // What the codes mean is said best by ToUnicode; an encoding beside it is for painting.
        if decoder.has(b"ToUnicode") {
            decoder.remove(b"Encoding");
        }
        let wide = dictionary
            .get(b"Subtype")
            .and_then(Object::as_name)
            .is_ok_and(|name| name == b"Type0");
        let mut font = Self {
            decoder,
            wide,
            widths: HashMap::new(),
            default_width: 500.0,
        };
        if wide {
            font.read_wide_widths(document, dictionary);
        } else {
            font.read_widths(document, dictionary);
        }
        font
    }

    fn read_widths(&mut self, document: &Document, dictionary: &Dictionary) {
        let first = dictionary
            .get_deref(b"FirstChar", document)
            .and_then(Object::as_i64)
            .unwrap_or(0);
        let Ok(widths) = dictionary.get_deref(b"Widths", document).and_then(Object::as_array) else {
            return;
        };
        for (i, width) in widths.iter().enumerate().take(256) {
            if let (Ok(width), Ok(code)) = (number(width), u32::try_from(first + i as i64)) {
                self.widths.insert(code, width);
            }
        }
    }

    /// `[first [w w w] first last w …]`
    fn read_wide_widths(&mut self, document: &Document, dictionary: &Dictionary) {
        let descendant = dictionary
            .get_deref(b"DescendantFonts", document)
            .and_then(Object::as_array)
            .ok()
            .and_then(|fonts| document.dereference(fonts.first()?).ok()?.1.as_dict().ok());
        let Some(descendant) = descendant else { return };
        self.default_width = descendant
            .get_deref(b"DW", document)
            .ok()
            .and_then(|w| number(w).ok())
            .unwrap_or(1000.0);
        let Ok(widths) = descendant.get_deref(b"W", document).and_then(Object::as_array) else {
            return;
        };
        let mut entries = widths
            .iter()
            .filter_map(|entry| document.dereference(entry).ok().map(|(_, object)| object));
        while let (Some(first), Some(second)) = (entries.next(), entries.next()) {
            let Ok(first) = first.as_i64() else { return };
            match second {
                Object::Array(list) => {
                    for (i, width) in list.iter().enumerate() {
                        self.set(first + i as i64, number(width).ok());
                    }
                }
                last => {
                    let (Ok(last), Some(width)) = (last.as_i64(), entries.next()) else {
                        return;
                    };
                    for code in (first..=last).take(WIDEST) {
                        self.set(code, number(width).ok());
                    }
                }
            }
        }
    }

    fn set(&mut self, code: i64, width: Option<f32>) {
        if let (Ok(code), Some(width)) = (u32::try_from(code), width)
            && self.widths.len() < WIDEST
        {
            self.widths.insert(code, width);
        }
    }

    /// How far a string moves the pen: with spacing after each glyph, and more after each space.
    fn advance(&self, bytes: &[u8], size: f32, spacing: f32, word_spacing: f32) -> f32 {
        let width = |code: u32| self.widths.get(&code).copied().unwrap_or(self.default_width) / 1000.0 * size + spacing;
        if self.wide {
            bytes
                .chunks(2)
                .map(|pair| width(pair.iter().fold(0, |code, b| code << 8 | u32::from(*b))))
                .sum()
        } else {
            bytes
                .iter()
                .map(|b| width(u32::from(*b)) + if *b == b' ' { word_spacing } else { 0.0 })
                .sum()
        }
    }
}

fn number(object: &Object) -> Result<f32, lopdf::Error> {
    object.as_float()
}

/// `[a b c d e f]`, as PDF writes matrices.
type Matrix = [f32; 6];

const IDENTITY: Matrix = [1.0, 0.0, 0.0, 1.0, 0.0, 0.0];

fn multiply(m: &Matrix, n: &Matrix) -> Matrix {
    [
        m[0] * n[0] + m[1] * n[2],
        m[0] * n[1] + m[1] * n[3],
        m[2] * n[0] + m[3] * n[2],
        m[2] * n[1] + m[3] * n[3],
        m[4] * n[0] + m[5] * n[2] + n[4],
        m[4] * n[1] + m[5] * n[3] + n[5],
    ]
}

#[derive(Clone)]
struct State {
    matrix: Matrix,
    font: Vec<u8>,
    size: f32,
    leading: f32,
    spacing: f32,
    word_spacing: f32,
    scale: f32,
}

/// The deepest stack of graphics states that is kept.
const STATES: usize = 64;

/// A gap between two strings of one run that is a space, in thousandths of the size.
const SPACE: f32 = 180.0;

struct Painter<'a> {
    fonts: &'a HashMap<Vec<u8>, Font>,
    encodings: &'a HashMap<Vec<u8>, Encoding<'a>>,
    state: State,
    stack: Vec<State>,
    text: Matrix,
    line: Matrix,
    runs: Vec<Run>,
}

impl<'a> Painter<'a> {
    fn new(fonts: &'a HashMap<Vec<u8>, Font>, encodings: &'a HashMap<Vec<u8>, Encoding<'a>>) -> Self {
        let state = State {
            matrix: IDENTITY,
            font: Vec::new(),
            size: 1.0,
            leading: 0.0,
            spacing: 0.0,
            word_spacing: 0.0,
            scale: 1.0,
        };
        Self {
            fonts,
            encodings,
            state,
            stack: Vec::new(),
            text: IDENTITY,
            line: IDENTITY,
            runs: Vec::new(),
        }
    }

    fn paint(&mut self, operator: &str, operands: &[Object]) {
        let n = |i: usize| operands.get(i).and_then(|o| number(o).ok()).unwrap_or(0.0);
        match operator {
            "q" if self.stack.len() < STATES => self.stack.push(self.state.clone()),
            "Q" => self.state = self.stack.pop().unwrap_or_else(|| self.state.clone()),
            "cm" => self.state.matrix = multiply(&matrix(operands), &self.state.matrix),
            "BT" => (self.text, self.line) = (IDENTITY, IDENTITY),
            "Tf" => {
                if let Some(name) = operands.first().and_then(|o| o.as_name().ok()) {
                    self.state.font = name.to_vec();
                }
                self.state.size = n(1);
            }
            "TL" => self.state.leading = n(0),
            "Tc" => self.state.spacing = n(0),
            "Tw" => self.state.word_spacing = n(0),
            "Tz" => self.state.scale = n(0) / 100.0,
            "Td" => self.next_line(n(0), n(1)),
            "TD" => {
                self.state.leading = -n(1);
                self.next_line(n(0), n(1));
            }
            "Tm" => {
                self.line = matrix(operands);
                self.text = self.line;
            }
            "T*" => self.next_line(0.0, -self.state.leading),
            "Tj" => self.show(operands.first()),
            "'" | "\"" => {
                if operator == "\"" {
                    (self.state.word_spacing, self.state.spacing) = (n(0), n(1));
                }
                self.next_line(0.0, -self.state.leading);
                self.show(operands.last());
            }
            "TJ" => {
                if let Some(Object::Array(parts)) = operands.first() {
                    self.show_all(parts);
                }
            }
            _ => {}
        }
    }

    fn next_line(&mut self, x: f32, y: f32) {
        self.line = multiply(&[1.0, 0.0, 0.0, 1.0, x, y], &self.line);
        self.text = self.line;
    }

    fn show(&mut self, string: Option<&Object>) {
        if let Some(string) = string {
            self.show_all(std::slice::from_ref(string));
        }
    }

    /// Strings and, between them, how far the pen moves back.
    fn show_all(&mut self, parts: &[Object]) {
        let place = multiply(&self.text, &self.state.matrix);
        let mut text = String::new();
        for part in parts {
            if let Object::String(bytes, _) = part {
                text.push_str(&self.decode(bytes));
                let font = self.fonts.get(&self.state.font);
                let advance = font.map_or(0.0, |font| {
                    font.advance(bytes, self.state.size, self.state.spacing, self.state.word_spacing)
                });
                self.move_pen(advance * self.state.scale);
            } else if let Ok(back) = number(part) {
                if -back > SPACE && !text.is_empty() && !text.ends_with(char::is_whitespace) {
                    text.push(' ');
                }
                self.move_pen(-back / 1000.0 * self.state.size * self.state.scale);
            }
        }
        if text.is_empty() {
            return;
        }
        let end = multiply(&self.text, &self.state.matrix);
        let size = self.state.size.abs() * place[2].hypot(place[3]);
        let run = Run {
            x: place[4],
            y: place[5],
            end: end[4],
            size,
            text,
        };
        if [run.x, run.y, run.end, run.size].iter().all(|v| v.is_finite()) {
            self.runs.push(run);
        }
    }

    fn move_pen(&mut self, by: f32) {
        self.text = multiply(&[1.0, 0.0, 0.0, 1.0, by, 0.0], &self.text);
    }

    fn decode(&self, bytes: &[u8]) -> String {
        let encoding = self.encodings.get(&self.state.font);
        encoding
            .and_then(|encoding| Document::decode_text(encoding, bytes).ok())
            .unwrap_or_default()
    }
}

fn matrix(operands: &[Object]) -> Matrix {
    let mut matrix = IDENTITY;
    for (entry, object) in matrix.iter_mut().zip(operands) {
        *entry = number(object).unwrap_or(0.0);
    }
    matrix
}
