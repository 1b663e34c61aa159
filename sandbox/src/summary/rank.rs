//! How central each sentence is: the stationary weight of a walk over similar sentences.

use std::collections::HashMap;

use super::words::Terms;

/// The probability of following an edge; the rest jumps anywhere.
const DAMPING: f64 = 0.85;
const MAX_STEPS: usize = 60;
const CLOSE_ENOUGH: f64 = 1e-9;

/// A text of more sentences is ranked in blocks of this many, since edges grow with the square.
const BLOCK: usize = 600;

/// A score for each sentence, around 1. The sum of each block is the block's length, so blocks compare.
pub(super) fn scores(sentences: &[&Terms]) -> Vec<f64> {
    let vectors = vectors(sentences);
    let blocks = vectors.len().div_ceil(BLOCK).max(1);
    let size = vectors.len().div_ceil(blocks).max(1);
    vectors.chunks(size).flat_map(walk).collect()
}

/// A sentence as a unit vector: TF-IDF by stem.
pub(super) type Vector = Vec<(u32, f64)>;

/// TF-IDF vectors of length 1; a sentence without words is a vector without entries.
pub(super) fn vectors(sentences: &[&Terms]) -> Vec<Vector> {
    let mut in_sentences: HashMap<u32, u32> = HashMap::new();
    for terms in sentences {
        for term in terms.keys() {
            *in_sentences.entry(*term).or_default() += 1;
        }
    }
    let total = sentences.len() as f64;
    let weigh = |terms: &&Terms| {
        let mut vector: Vector = terms
            .iter()
            .map(|(term, count)| {
                let rarity = (1.0 + total / f64::from(in_sentences.get(term).copied().unwrap_or(1))).ln();
                (*term, f64::from(*count) * rarity)
            })
            .collect();
        let length = vector.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|(_, weight)| *weight /= length);
        }
        vector
    };
    sentences.iter().map(weigh).collect()
}

/// How alike two sentences are, from 0 to 1.
pub(super) fn cosine(a: &Vector, b: &Vector) -> f64 {
    let (mut i, mut j, mut sum) = (0, 0, 0.0);
    while let (Some((term_a, weight_a)), Some((term_b, weight_b))) = (a.get(i), b.get(j)) {
        match term_a.cmp(term_b) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                sum += weight_a * weight_b;
                i += 1;
                j += 1;
            }
        }
    }
    sum
}

fn walk(vectors: &[Vector]) -> Vec<f64> {
    let count = vectors.len();
    let mut edges: Vec<Vec<(usize, f64)>> = vec![Vec::new(); count];
    for i in 0..count {
        for j in i + 1..count {
            let weight = cosine(&vectors[i], &vectors[j]);
            if weight > 0.0 {
                edges[i].push((j, weight));
                edges[j].push((i, weight));
            }
        }
    }
    let strength: Vec<f64> = edges
        .iter()
        .map(|edges| edges.iter().map(|(_, weight)| weight).sum())
        .collect();
    let mut score = vec![1.0; count];
    for _ in 0..MAX_STEPS {
        let lonely: f64 = (0..count).filter(|i| strength[*i] == 0.0).map(|i| score[i]).sum();
        let base = (1.0 - DAMPING) + DAMPING * lonely / count as f64;
        let next: Vec<f64> = edges
            .iter()
            .map(|edges| {
                base + DAMPING
                    * edges
                        .iter()
                        .map(|(j, weight)| score[*j] * weight / strength[*j])
                        .sum::<f64>()
            })
            .collect();
        let moved: f64 = next.iter().zip(&score).map(|(a, b)| (a - b).abs()).sum();
        score = next;
        if moved < CLOSE_ENOUGH * count as f64 {
            break;
        }
    }
    score
}
