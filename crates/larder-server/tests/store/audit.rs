//! The audit log: each change writes one line in its own transaction, and a written line never changes.

use larder_server::domain::audit::{Action, Actor};
use larder_server::domain::audit_query::{AuditCursor, AuditQuery};
use larder_server::domain::identity::UserId;
use larder_server::domain::patch::{Patch, UserPatch};
use larder_server::domain::text::Bio;
use larder_server::store::audit::Entry;
use larder_server::store::changes::{Expected, Updated};

use crate::bed::{Bed, contract, new, tx_as};

contract!(
    a_change_and_its_audit_line_commit_together,
    the_log_is_append_only,
    the_log_is_read_backwards_in_parts,
);

async fn log(bed: &Bed, asked: AuditQuery) -> Vec<Entry> {
    bed.store.audit(&asked, 100).await.unwrap()
}

async fn a_change_and_its_audit_line_commit_together(bed: &Bed) {
    let admin = UserId::generate();
    let tx = tx_as(&bed.store, Actor::User(admin)).await;
    let ann = tx.insert_user(new("ann"), None).await.unwrap();
    let bio = Patch::Set(Bio::parse("a secret of hers").unwrap());
    let patch = UserPatch { bio, ..UserPatch::active(false) };
    assert!(matches!(tx.update_user(ann.id, &patch, None).await.unwrap(), Updated::Done { .. }));
    // None of the next three statements changes a row, so none writes a line.
    tx.update_user(ann.id, &patch, None).await.unwrap();
    tx.insert_user(new("ann"), None).await.unwrap_err();
    tx.update_user(ann.id, &UserPatch::default(), Some(Expected::Version(99))).await.unwrap();
    tx.delete_user(ann.id, None).await.unwrap();

    let of_ann = AuditQuery { target: Some(ann.id), ..AuditQuery::default() };
    let entries = log(bed, of_ann).await;
    let words: Vec<_> = entries.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(words, ["user.delete", "user.deactivate", "user.update", "user.create"]);
    assert!(entries.iter().all(|entry| entry.actor_id == Some(admin)));
    assert_eq!(entries[2].details, serde_json::json!({ "fields": ["bio"] }));
    assert_eq!(log(bed, AuditQuery::default()).await.len(), 4);
}

async fn the_log_is_append_only(bed: &Bed) {
    let ann = bed.user("ann").await;
    let mut statements =
        vec!["UPDATE audit_log SET action = 'user.update'".to_owned(), "DELETE FROM audit_log".to_owned()];
    if bed.is_postgres() {
        statements.push("TRUNCATE audit_log".to_owned());
        statements.push("SET session_replication_role = replica; DELETE FROM audit_log".to_owned());
    } else {
        statements.push(
            "INSERT OR REPLACE INTO audit_log (id, at, action) SELECT id, 0, 'x' FROM audit_log".to_owned(),
        );
    }
    for statement in statements {
        let said = bed.sql(&statement).unwrap_err();
        assert!(format!("{said:#}").contains("append-only"), "{statement}: {said:#}");
    }
    tx_as(&bed.store, Actor::Nobody).await.delete_user(ann.id, None).await.unwrap();
    assert_eq!(log(bed, AuditQuery::default()).await.len(), 2, "a line outlives its user");
}

async fn the_log_is_read_backwards_in_parts(bed: &Bed) {
    let many: Vec<_> = (0..7).map(|number| new(&format!("user{number}"))).collect();
    for user in many {
        tx_as(&bed.store, Actor::Nobody).await.insert_user(user, None).await.unwrap();
    }
    let all = log(bed, AuditQuery::default()).await;
    assert_eq!(all.len(), 7);
    assert!(all.is_sorted_by(|newer, older| newer.id > older.id));
    let mut parts = bed.store.audit(&AuditQuery::default(), 3).await.unwrap();
    let rest = AuditQuery { after: Some(AuditCursor(parts[2].id)), ..AuditQuery::default() };
    parts.extend(log(bed, rest).await);
    assert_eq!(parts, all);
    let only = AuditQuery { action: Some(Action::UserDelete), ..AuditQuery::default() };
    assert!(log(bed, only).await.is_empty());
    let only = AuditQuery { actor: Some(UserId::generate()), ..AuditQuery::default() };
    assert!(log(bed, only).await.is_empty());
}
