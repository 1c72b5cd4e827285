//! The catalog's facts about the relations that a journal depends on, and what a transaction compares with them before
//! its commit.

/// The catalog's facts about the relation `about`, with the numbers of the transactions that wrote them. The text
/// changes with every change of the table, its columns, rules, policies, partitions and inheriting tables, of one of
/// larder's triggers or of their functions. For the outbox it includes every trigger, because any trigger could discard
/// rows, and `larder_outbox_covers`.
macro_rules! fact {
    () => {
        "concat_ws(' ', about.xmin,
             (SELECT hashtextextended(string_agg(concat_ws(' ', attnum, attname, atttypid, attisdropped), ',' ORDER BY attnum), 0)
                 FROM pg_attribute WHERE attrelid = about.oid AND attnum > 0),
             (SELECT string_agg(concat_ws('/', found.oid, found.xmin, found.tgenabled, code.oid, code.xmin), ','
                     ORDER BY found.oid)
                 FROM pg_trigger AS found JOIN pg_proc AS code ON code.oid = found.tgfoid
                 WHERE found.tgrelid = about.oid
                     AND (found.tgname LIKE 'larder\\_%' OR about.oid = to_regclass('larder_outbox'))),
             (SELECT string_agg(concat_ws('/', oid, xmin), ',' ORDER BY oid) FROM pg_rewrite WHERE ev_class = about.oid),
             (SELECT string_agg(concat_ws('/', inhrelid, xmin), ',' ORDER BY inhrelid) FROM pg_inherits
                 WHERE inhparent = about.oid),
             (SELECT string_agg(concat_ws('/', oid, xmin), ',' ORDER BY oid) FROM pg_policy WHERE polrelid = about.oid),
             CASE WHEN about.oid = to_regclass('larder_outbox') THEN
                 (SELECT string_agg(concat_ws('/', oid, xmin), ',' ORDER BY oid) FROM pg_proc
                     WHERE proname = 'larder_outbox_covers')
             END)"
    };
}

/// The relations that the journal depends on: each one with a trigger of larder, including partitions, and the outbox's
/// tables.
macro_rules! journalling {
    () => {
        "pg_class AS about WHERE about.oid IN (
             SELECT tgrelid FROM pg_trigger WHERE tgname IN ('larder_journal', 'larder_journal_truncated')
             UNION ALL SELECT to_regclass('larder_outbox')
             UNION ALL SELECT to_regclass('larder_outbox_marks')
             UNION ALL SELECT to_regclass('larder_outbox_life'))"
    };
}

/// Whether row security is active on a table of the outbox for the role that asks.
macro_rules! is_hidden {
    () => {
        "(SELECT bool_or(row_security_active(oid)) FROM pg_class WHERE oid IN
             (to_regclass('larder_outbox'), to_regclass('larder_outbox_marks'), to_regclass('larder_outbox_life')))"
    };
}

/// The labels of the database's enums. Renaming a label changes the values of rows.
macro_rules! enums {
    () => {
        "(SELECT string_agg(concat_ws(' ', oid, xmin), ',' ORDER BY oid) FROM pg_enum)"
    };
}

/// Whether this transaction changed rows that may be missing from the journal. True if a changed relation or the outbox
/// differs from the inspected facts (`$1`), if a declared name means another table, if row security is active on the
/// outbox, or if the outbox shows no row: it is never empty, so this statement was planned under row security. The
/// counters may include earlier transactions of the session, which only makes more relations compare their facts.
///
/// A SERIALIZABLE transaction does not look for a row, because it reads no row of the outbox: see
/// [`OWN`](crate::journal::postgres::OWN).
macro_rules! is_silent {
    () => {
        concat!(
            "(",
            $crate::journal::completeness::facts::is_hidden!(),
            " OR CASE WHEN current_setting('transaction_isolation') <> 'serializable' THEN
                 (SELECT xid FROM larder_outbox ORDER BY xid DESC LIMIT 1) IS NULL ELSE FALSE END
         OR CAST($1 AS JSONB) ->> 'named' IS DISTINCT FROM (
             SELECT string_agg(COALESCE(CAST(CAST(to_regclass(name) AS OID) AS TEXT), '-'), ',' ORDER BY nth)
             FROM jsonb_array_elements_text(CAST($1 AS JSONB) -> 'names') WITH ORDINALITY AS declared (name, nth))
         OR EXISTS (
             SELECT 1 FROM jsonb_each_text(CAST($1 AS JSONB) -> 'relations') AS known (id, fact)
             WHERE (CAST(known.id AS OID) = to_regclass('larder_outbox')
                     OR NOT CAST(current_setting('track_counts') AS BOOLEAN)
                     OR pg_stat_get_xact_tuples_inserted(CAST(known.id AS OID))
                         + pg_stat_get_xact_tuples_updated(CAST(known.id AS OID))
                         + pg_stat_get_xact_tuples_deleted(CAST(known.id AS OID)) > 0)
                 AND known.fact IS DISTINCT FROM (SELECT ",
            $crate::journal::completeness::facts::fact!(),
            " FROM pg_class AS about WHERE about.oid = CAST(known.id AS OID))
         ))"
        )
    };
}

/// Whether this transaction changed what rows the relations have without firing a trigger: TRUNCATE, DETACH or DROP of a
/// partition, ATTACH of one, `ALTER TABLE … USING`, a renamed label of an enum. True if it changed a catalog that has
/// facts, and some fact differs from the inspected ones (`$1`). A transaction without DDL compares nothing: the counters
/// of the catalogs are in the memory of its backend.
macro_rules! is_restructured {
    () => {
        concat!(
            "((NOT CAST(current_setting('track_counts') AS BOOLEAN) OR EXISTS (
                 SELECT 1 FROM unnest(ARRAY['pg_class', 'pg_attribute', 'pg_inherits', 'pg_enum', 'pg_trigger', 'pg_proc',
                     'pg_rewrite', 'pg_policy']) AS catalog (name)
                 WHERE pg_stat_get_xact_tuples_inserted(CAST('pg_catalog.' || name AS REGCLASS))
                     + pg_stat_get_xact_tuples_updated(CAST('pg_catalog.' || name AS REGCLASS))
                     + pg_stat_get_xact_tuples_deleted(CAST('pg_catalog.' || name AS REGCLASS)) > 0))
             AND (CAST($1 AS JSONB) ->> 'enums' IS DISTINCT FROM ",
            $crate::journal::completeness::facts::enums!(),
            " OR EXISTS (
                 SELECT 1 FROM jsonb_each_text(CAST($1 AS JSONB) -> 'relations') AS known (id, fact)
                 WHERE known.fact IS DISTINCT FROM (SELECT ",
            $crate::journal::completeness::facts::fact!(),
            " FROM pg_class AS about WHERE about.oid = CAST(known.id AS OID)))))"
        )
    };
}
pub(in crate::journal) use {enums, fact, is_hidden, is_restructured, is_silent, journalling};

/// The facts, as JSON: `names` and what they mean (`named`), `enums`, and the fact of each of the `relations` by oid.
pub(super) const FACTS: &str = concat!(
    "SELECT CAST(jsonb_build_object(
         'names', to_jsonb(string_to_array($1, E'\\x01')),
         'named', (SELECT string_agg(COALESCE(CAST(CAST(to_regclass(name) AS OID) AS TEXT), '-'), ',' ORDER BY nth)
             FROM unnest(string_to_array($1, E'\\x01')) WITH ORDINALITY AS declared (name, nth)),
         'enums', ", enums!(), ",
         'relations', (SELECT jsonb_object_agg(CAST(about.oid AS TEXT), ",
    fact!(),
    ") FROM ",
    journalling!(),
    ")) AS TEXT) AS facts"
);
