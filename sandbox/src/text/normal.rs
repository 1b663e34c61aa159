//! Making entities nest: links and code do not overlap, styles are cut into pieces at the borders of what they cover.

use super::entity::{Entity, sort};

/// The entities as the server answers them. `found` are those that were detected; they give way to the given ones.
pub(super) fn normalise(given: Vec<Entity>, found: Vec<Entity>) -> Vec<Entity> {
    let mut solid = Vec::new();
    let mut quotes = Vec::new();
    let mut styles = Vec::new();
    for entity in given {
        let shelf = match &entity.kind {
            kind if kind.is_style() => &mut styles,
            kind if kind.is_quote() => &mut quotes,
            _ => &mut solid,
        };
        shelf.push(entity);
    }
    drop_overlaps(&mut solid);
    drop_overlaps(&mut quotes);
    solid.extend(
        found
            .into_iter()
            .filter(|entity| !solid.iter().any(|other| overlap(entity, other)))
            .collect::<Vec<_>>(),
    );
    solid.retain(|entity| !quotes.iter().any(|quote| crosses(entity, quote)));
    solid.append(&mut quotes);
    sort(&mut solid);
    let mut entities = cut(merge(styles), &solid);
    entities.append(&mut solid);
    sort(&mut entities);
    entities
}

/// Keeps the first of those that share text, nested ones included.
fn drop_overlaps(entities: &mut Vec<Entity>) {
    sort(entities);
    let mut end = 0;
    entities.retain(|entity| {
        let free = entity.offset >= end;
        if free {
            end = entity.end();
        }
        free
    });
}

fn overlap(a: &Entity, b: &Entity) -> bool {
    a.offset < b.end() && b.offset < a.end()
}

/// Whether they share text without `inner` lying within `outer`.
fn crosses(inner: &Entity, outer: &Entity) -> bool {
    overlap(inner, outer) && !(outer.offset <= inner.offset && inner.end() <= outer.end())
}

/// Joins pieces of the same style that touch or overlap.
fn merge(mut styles: Vec<Entity>) -> Vec<Entity> {
    styles.sort_by(|a, b| (&a.kind, a.offset).cmp(&(&b.kind, b.offset)));
    let mut merged: Vec<Entity> = Vec::with_capacity(styles.len());
    for style in styles {
        match merged.last_mut() {
            Some(last) if last.kind == style.kind && style.offset <= last.end() => {
                last.length = last.end().max(style.end()) - last.offset;
            }
            _ => merged.push(style),
        }
    }
    merged
}

/// Cuts styles at every border: of other styles' beginnings, and of solid entities; inside code there are none.
fn cut(styles: Vec<Entity>, solid: &[Entity]) -> Vec<Entity> {
    let mut borders: Vec<usize> = styles.iter().map(|style| style.offset).collect();
    borders.extend(solid.iter().flat_map(|entity| [entity.offset, entity.end()]));
    borders.sort_unstable();
    borders.dedup();
    let code: Vec<&Entity> = solid.iter().filter(|entity| entity.kind.is_code()).collect();
    let mut pieces = Vec::with_capacity(styles.len());
    for style in styles {
        let first = borders.partition_point(|border| *border <= style.offset);
        let inner = borders[first..]
            .iter()
            .copied()
            .take_while(|border| *border < style.end());
        let mut begin = style.offset;
        for end in inner.chain([style.end()]) {
            let piece = Entity::new(style.kind.clone(), begin, end - begin);
            if !code.iter().any(|code| overlap(&piece, code)) {
                pieces.push(piece);
            }
            begin = end;
        }
    }
    pieces
}
