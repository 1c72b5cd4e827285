//! Finds the tags and groups of classes that no change of one row touches. An entry with such a tag would be stale until
//! its TTL ends.
//!
//! A row touches the entries and the tags by columns that its values name: `order:71`. Only a change of the complete
//! table touches the name itself, `order`. So a class with the tag `order` needs `Table::tag` or `Table::tag_reading` on
//! each table that has the name.

use larder::introspection::declared::DeclaredClass;

use crate::journal::table::{ByColumns, Kind, Table};
use crate::journal::verifying::listed;

/// An error for each tag and each group of `class` that the rows of a table do not touch.
pub(super) fn of_class(class: &DeclaredClass, tables: &[Table]) -> Vec<String> {
    let is_asked = |name: &str| !class.by_hand.iter().any(|one| one == name);
    let has_group = |name: &str| class.tag_groups.iter().any(|group| group.name == name);
    // An entry with a tag of a group has the group's name as a tag in any case.
    let tags = class.tags.iter().filter(|tag| **tag != class.name && is_asked(tag) && !has_group(tag));
    let groups = class.tag_groups.iter().map(|group| &group.name).filter(|group| is_asked(group));
    let own = Some(&class.name).filter(|name| is_asked(name)).and_then(|_| of_name(class, tables));
    let of_tags = tags.flat_map(|tag| of_tag(class, tag, tables));
    of_tags.chain(groups.filter_map(|group| of_group(class, group, tables))).chain(own).collect()
}

/// Whether a change of one row of a declared table may touch entries of `class`.
pub(super) fn is_touched(class: &DeclaredClass, tables: &[Table]) -> bool {
    let has = |name: &String, kind| tables.iter().any(|table| by_columns(table, name, kind).is_some());
    let has_tag = |name: &String| tables.iter().any(|table| has_tag(table, name));
    let mut groups = class.tag_groups.iter().map(|group| &group.name);
    class.has_unknown_tags
        || has(&class.name, Kind::Entry)
        || has_tag(&class.name)
        || class.tags.iter().any(has_tag)
        || groups.any(|group| has_tag(group) || has(group, Kind::Tag))
}

fn of_tag(class: &DeclaredClass, tag: &String, tables: &[Table]) -> Vec<String> {
    let narrower =
        tables.iter().filter(|table| !has_tag(table, tag)).filter_map(|table| narrower(table, tag));
    let missed: Vec<_> = narrower
        .map(|(table, what)| {
            format!(
                "class {:?}: a row of the table {table:?} {what}, and not the tag {tag:?} of the class: say .tag({tag:?}) on that \
                 table too; or, if the class does not depend on its rows, give the class's tag another name",
                class.name
            )
        })
        .collect();
    if missed.is_empty() && !tables.iter().any(|table| has_tag(table, tag)) {
        return vec![format!(
            "class {:?}: no declared table touches its tag {tag:?}: say .tag({tag:?}) on each table whose rows it depends on, \
             correct the name, or, if only the application invalidates it, say .by_hand([{tag:?}]) where the class is opened",
            class.name
        )];
    }
    missed
}

fn of_group(class: &DeclaredClass, group: &String, tables: &[Table]) -> Option<String> {
    let has_group = |table: &Table| by_columns(table, group, Kind::Tag).is_some() || has_tag(table, group);
    let is_missed = !tables.iter().any(has_group);
    is_missed.then(|| {
        let groups = tables.iter().flat_map(|table| &table.by_columns).filter(|one| one.kind == Kind::Tag);
        format!(
            "class {:?}: no declared table has the group {group:?} of its tags; the groups are {}: say .tag_by({group:?}, …) on the \
             table, correct the name, or, if only the application invalidates it, say .by_hand([{group:?}]) where the class is opened",
            class.name,
            listed(groups.map(|one| &one.name))
        )
    })
}

/// A class that a change of all rows touches, and no change of one.
fn of_name(class: &DeclaredClass, tables: &[Table]) -> Option<String> {
    if is_touched(class, tables) {
        return None;
    }
    let (table, what) = tables.iter().find_map(|table| narrower(table, &class.name))?;
    let name = &class.name;
    Some(format!(
        "class {name:?}: a row of the table {table:?} {what}, and no entry of the class: say .entry({name:?}, …) on that table, or \
         .tagged_by(|key| tag({name:?}, …)) where the class is opened; or, if the class does not depend on its rows, name the class or \
         the group otherwise"
    ))
}

/// What a row of `table` touches under `name`, if it touches less than the tag `name`.
fn narrower<'a>(table: &'a Table, name: &str) -> Option<(&'a str, String)> {
    let what = match by_columns(table, name, Kind::Tag) {
        Some(group) => format!("touches the tag {name:?} of its own columns ({})", listed(&group.columns)),
        None => {
            by_columns(table, name, Kind::Entry)?;
            format!("touches one entry of {name:?} by .entry({name:?}, …)")
        }
    };
    Some((table.name(), what))
}

fn by_columns<'a>(table: &'a Table, name: &str, kind: Kind) -> Option<&'a ByColumns> {
    table.by_columns.iter().find(|one| one.kind == kind && one.name == name)
}

fn has_tag(table: &Table, tag: &str) -> bool {
    table.tags.iter().any(|one| one.name == tag)
}
