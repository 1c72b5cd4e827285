//! Searching users: for every term, the search finds the same users in the same order as a comparison of all users.

use larder_server::domain::folding::folded;
use larder_server::domain::identity::UserId;
use larder_server::domain::paging::{ListParams, ListQuery};
use larder_server::domain::role::Role;
use larder_server::domain::search::SearchTerm;
use larder_server::domain::text::FullName;
use larder_server::domain::user::{NewUser, User};

use crate::bed::{Bed, contract, new, tx};

contract!(
    a_search_finds_the_users_that_comparing_all_finds,
    hostile_terms_match_literally,
    texts_that_people_take_for_the_same_are_found,
    texts_of_other_software_are_folded_too,
    one_or_two_letters_find_the_beginnings_of_words,
    the_databases_fold_every_letter_as_the_program_does,
    an_address_is_found_only_by_readers_who_see_it,
    a_search_continues_beyond_the_newest_users,
    a_changed_user_is_found_by_its_new_values,
);

fn named(username: &str, full_name: &str) -> NewUser {
    NewUser { full_name: Some(FullName::parse(full_name).unwrap()), ..new(username) }
}

async fn found(bed: &Bed, term: &str, audience: Role, limit: u32) -> Vec<UserId> {
    let mut params =
        ListParams { search: Some(term.to_owned()), limit: Some(limit.to_string()), ..Default::default() };
    let mut ids = Vec::new();
    loop {
        let query = ListQuery::parse(&params, audience).unwrap();
        let listed = bed.store.list(&query).await.unwrap();
        ids.extend(listed.users.iter().map(|user| user.id));
        let Some(next) = listed.next else { return ids };
        assert_eq!(listed.users.len(), limit as usize, "only the last part is short");
        params.cursor = Some(next.encode());
    }
}

async fn names(bed: &Bed, term: &str, audience: Role) -> Vec<String> {
    let ids = found(bed, term, audience, 100).await;
    let users = bed.store.users_by_ids(&ids).await.unwrap();
    let name = |id: &UserId| users.iter().find(|user| user.id == *id).unwrap().username.as_str().to_owned();
    ids.iter().map(name).collect()
}

/// The definition of a match, in Rust.
fn matches(user: &User, term: &str, audience: Role) -> bool {
    let sees_email = match audience {
        Role::User => false,
        Role::Admin => user.role < Role::Superadmin,
        Role::Superadmin => true,
    };
    let term = SearchTerm::parse(term).unwrap();
    let has = |text: &str| term.is_in(text);
    let is_shown = user.is_active || audience > Role::User;
    let has_name = user.full_name.as_ref().is_some_and(|name| has(name.as_str()));
    is_shown && (has_name || has(user.username.as_str()) || (sees_email && has(user.email.as_str())))
}

async fn a_search_finds_the_users_that_comparing_all_finds(bed: &Bed) {
    let first = ["Ann", "Anna", "Hannah", "Zoë", "JOANNA", "Bob"];
    let last = ["Smith", "O'Neil", "van der Berg", "Ünal"];
    let people: Vec<_> = (0..72)
        .map(|n: usize| NewUser {
            role: [Role::User, Role::User, Role::Admin, Role::Superadmin][n % 4],
            is_active: !n.is_multiple_of(5),
            ..named(
                &format!("{}{n}", ["ann", "b.b", "xan", "q-q"][n % 4]),
                &format!("{} {}", first[n % 6], last[n % 4]),
            )
        })
        .collect();
    let ids = tx(&bed.store).await.insert_many(&people, "hash").await.unwrap();
    let mut everybody = bed.store.users_by_ids(&ids).await.unwrap();
    everybody.sort_by_key(|user| std::cmp::Reverse((user.created_at, user.id)));
    for audience in [Role::User, Role::Admin, Role::Superadmin] {
        for term in [
            "ann",
            "ANN",
            "anna",
            "hann",
            "smith",
            "n s",
            "o'n",
            "van der",
            "example.com",
            "ann1",
            "b.b",
            ".b1",
            "a",
            "an",
            "q-",
            "zz",
            "nobody",
            "a@e",
            "0@example",
            "@ex",
            "xan",
            "com",
            "mit",
            "b s",
        ] {
            let wanted: Vec<_> =
                everybody.iter().filter(|user| matches(user, term, audience)).map(|user| user.id).collect();
            for limit in [1, 3, 100] {
                assert_eq!(found(bed, term, audience, limit).await, wanted, "{term:?} {audience:?} {limit}");
            }
        }
    }
    let admins = ListParams {
        search: Some("ann".into()),
        role: Some("admin".into()),
        status: Some("active".into()),
        ..Default::default()
    };
    let query = ListQuery::parse(&admins, Role::Superadmin).unwrap();
    let listed: Vec<_> = bed.store.list(&query).await.unwrap().users.iter().map(|user| user.id).collect();
    let wanted: Vec<_> = everybody
        .iter()
        .filter(|user| user.role == Role::Admin && user.is_active && matches(user, "ann", Role::Superadmin))
        .map(|user| user.id)
        .collect();
    assert!(!wanted.is_empty() && listed == wanted);
}

async fn hostile_terms_match_literally(bed: &Bed) {
    for (username, name) in [
        ("percent", "100% sure"),
        ("under", "snake_case"),
        ("slash", r"back\slash"),
        ("quote", "it's \"quoted\" here"),
        ("star", "a*b AND c OR (d) NEAR ^ {x} : y"),
        ("plain", "100x sure snakexcase backxslash"),
        ("crab", "\u{1F980}\u{1F980}\u{1F980}"),
    ] {
        tx(&bed.store).await.insert_user(named(username, name), None).await.unwrap();
    }
    for (term, wanted) in [
        ("00%", "percent"),
        ("100%", "percent"),
        ("e_c", "under"),
        (r"k\s", "slash"),
        ("t's", "quote"),
        ("\"quoted\"", "quote"),
        ("\"", "quote"),
        ("a*b", "star"),
        ("and c or", "star"),
        ("^ {x} :", "star"),
        ("\u{1F980}\u{1F980}\u{1F980}", "crab"),
    ] {
        assert_eq!(names(bed, term, Role::Superadmin).await, [wanted], "{term}");
    }
    for term in ["%%%", "___", r"\\\", "'''", "\"\"\"", "'; drop table users; --", "$1", "%", "_", "*"] {
        assert_eq!(names(bed, term, Role::Superadmin).await, [""; 0], "{term}");
    }
}

fn is_utf8(bed: &Bed) -> bool {
    !bed.is_postgres() || bed.sql("SHOW server_encoding").unwrap() == "UTF8"
}

const PEOPLE: [(&str, &str); 12] = [
    ("zoe", "Zoë Ünal"),
    ("decomposed", "Rene\u{301}e"),
    ("anna", "АННА Петрова"),
    ("wei", "王小明 Wei"),
    ("fang", "王芳"),
    ("min", "김민"),
    ("jamo", "\u{1100}\u{1175}\u{11b7}\u{1109}\u{1166}"),
    ("nikos", "Νίκος ΟΔΥΣΣΕΥΣ"),
    ("turk", "İstanbul Işık"),
    ("german", "STRASSE Straße"),
    ("pole", "Łódź ﬁne"),
    ("wide", "Ｗｉｄｅ　Ｎａｍｅ"),
];

async fn each_is_found(bed: &Bed) {
    for (term, wanted) in [
        ("zoë", vec!["zoe"]),
        ("ZOE\u{308}", vec!["zoe"]),
        ("unal", vec!["zoe"]),
        ("renée", vec!["decomposed"]),
        ("RENE", vec!["decomposed"]),
        ("анна", vec!["anna"]),
        ("ПЕТР", vec!["anna"]),
        ("王小明", vec!["wei"]),
        ("王", vec!["fang", "wei"]),
        ("王芳", vec!["fang"]),
        ("芳", vec!["fang"]),
        ("明 wei", vec!["wei"]),
        ("김", vec!["jamo", "min"]),
        ("김민", vec!["min"]),
        ("\u{1100}\u{1175}\u{11b7}\u{1106}\u{1175}\u{11ab}", vec!["min"]),
        ("김세", vec!["jamo"]),
        ("민", vec!["min"]),
        ("ΝΊΚ", vec!["nikos"]),
        ("νικος", vec!["nikos"]),
        ("ΟΔΥΣ", vec!["nikos"]),
        ("οδυσσευς", vec!["nikos"]),
        ("istanbul", vec!["turk"]),
        ("ISTANBUL", vec!["turk"]),
        ("isik", vec!["turk"]),
        ("straße", vec!["german"]),
        ("STRASSE", vec!["german"]),
        ("STRAẞE", vec!["german"]),
        ("lodz", vec!["pole"]),
        ("fine", vec!["pole"]),
        ("wide name", vec!["wide"]),
    ] {
        assert_eq!(names(bed, term, Role::User).await, wanted, "{term}");
    }
}

async fn texts_that_people_take_for_the_same_are_found(bed: &Bed) {
    if !is_utf8(bed) {
        return;
    }
    for (username, name) in PEOPLE {
        tx(&bed.store).await.insert_user(named(username, name), None).await.unwrap();
    }
    each_is_found(bed).await;
    assert_eq!(names(bed, "zoe", Role::User).await, ["zoe"]);
}

/// Other software writes the names, first as new rows and then as changes.
async fn texts_of_other_software_are_folded_too(bed: &Bed) {
    if !is_utf8(bed) {
        return;
    }
    for (number, (username, name)) in PEOPLE.into_iter().enumerate() {
        let id = UserId::generate();
        bed.sql(&format!(
            "INSERT INTO users (id, email, username, full_name, created_at)
             VALUES ('{id}', '{username}@example.com', '{username}', '{name}', 1700000000000000 + {number})"
        ))
        .unwrap();
    }
    each_is_found(bed).await;
    bed.sql("UPDATE users SET full_name = NULL").unwrap();
    assert_eq!(names(bed, "istanbul", Role::User).await, [""; 0]);
    for (username, name) in PEOPLE {
        bed.sql(&format!("UPDATE users SET full_name = '{name}' WHERE username = '{username}'")).unwrap();
    }
    each_is_found(bed).await;
    let replace = if bed.is_postgres() {
        ""
    } else {
        "INSERT OR REPLACE INTO users (number, id, email, username, full_name)
        SELECT number, id, email, username, 'Replaced Ö' FROM users WHERE username = 'turk';"
    };
    if !replace.is_empty() {
        bed.sql(replace).unwrap();
        assert_eq!(names(bed, "istanbul", Role::User).await, [""; 0]);
        assert_eq!(names(bed, "placed o", Role::User).await, ["turk"]);
    }
}

async fn one_or_two_letters_find_the_beginnings_of_words(bed: &Bed) {
    for (username, name) in [("xaver", "Ann van Berg"), ("be.la", "Zora O'Neil"), ("cleo", "Hannah")] {
        tx(&bed.store).await.insert_user(named(username, name), None).await.unwrap();
    }
    for (term, wanted) in [
        ("a", vec!["xaver"]),
        ("AN", vec!["xaver"]),
        ("b", vec!["be.la", "xaver"]),
        ("be", vec!["be.la", "xaver"]),
        ("va", vec!["xaver"]),
        ("o'", vec!["be.la"]),
        ("ne", vec![]),
        ("h", vec!["cleo"]),
        ("la", vec![]),
    ] {
        assert_eq!(names(bed, term, Role::User).await, wanted, "{term}");
    }
}

/// Every letter, in users whose names have 200 of them.
async fn the_databases_fold_every_letter_as_the_program_does(bed: &Bed) {
    if !is_utf8(bed) {
        return;
    }
    // Beyond this there are tags and selectors of variants, and letters for private use.
    let letters = (' '..='\u{32000}').chain('\u{e0000}'..='\u{e0200}');
    // psql prints no noncharacters.
    let letters: Vec<char> = letters.filter(|c| *c != '\'' && u32::from(*c) & 0xfffe != 0xfffe).collect();
    let names: Vec<String> = letters.chunks(200).map(|letters| letters.iter().collect()).collect();
    let select = match bed.is_postgres() {
        true => {
            "SELECT replace(left(search_text, strpos(search_text, E'\n') - 1), ' ', '_') FROM users ORDER BY id"
        }
        false => "SELECT replace(full_name, ' ', '_') FROM user_texts ORDER BY number",
    };
    // Each statement is an argument of a program, which has a bound.
    for names in names.chunks(64) {
        let row = |(number, name)| {
            let id = format!("0192f0c1-2345-7abc-8def-{number:012}");
            format!("('{id}', '{number}@example.com', 'user{number}', '{name}')")
        };
        let rows: Vec<_> = names.iter().enumerate().map(row).collect();
        bed.sql(&format!("INSERT INTO users (id, email, username, full_name) VALUES {}", rows.join(", ")))
            .unwrap();
        let stored = bed.sql(select).unwrap();
        assert_eq!(stored.lines().count(), names.len());
        for (stored, name) in stored.lines().zip(names) {
            let wanted = format!("  {}", folded(name)).replace(' ', "_");
            assert!(stored == wanted, "{:?}: {stored} {wanted}", name.chars().next());
        }
        bed.sql("DELETE FROM users").unwrap();
    }
}

async fn an_address_is_found_only_by_readers_who_see_it(bed: &Bed) {
    for (name, role) in [("one", Role::User), ("two", Role::Admin), ("three", Role::Superadmin)] {
        tx(&bed.store).await.insert_user(NewUser { role, ..new(name) }, None).await.unwrap();
    }
    for term in ["example", "@example.com", "e@example", "on", "three@"] {
        assert_eq!(
            names(bed, term, Role::User).await.iter().filter(|name| !name.starts_with(term)).count(),
            0,
            "{term}"
        );
        assert!(!names(bed, term, Role::Admin).await.contains(&"three".to_owned()), "{term}");
    }
    assert_eq!(names(bed, "example", Role::Admin).await, ["two", "one"]);
    assert_eq!(names(bed, "example", Role::Superadmin).await, ["three", "two", "one"]);
    assert_eq!(names(bed, "three", Role::Admin).await, ["three"], "by the user name");
    assert_eq!(names(bed, "three@", Role::Superadmin).await, ["three"]);
}

/// There are more users than the first step of the search reads. The matches are among the newest, among the oldest, or
/// in both.
async fn a_search_continues_beyond_the_newest_users(bed: &Bed) {
    let people: Vec<_> = (0..5000)
        .map(|n: usize| {
            named(&format!("user{n}"), if n.is_multiple_of(700) { "Rare Bird" } else { "Common Sparrow" })
        })
        .collect();
    tx(&bed.store).await.insert_many(&people, "hash").await.unwrap();
    for limit in [1, 3, 7] {
        assert_eq!(found(bed, "rare b", Role::User, limit).await.len(), 8);
    }
    assert_eq!(names(bed, "user42", Role::User).await.len(), 111);
    assert_eq!(names(bed, "user4999", Role::User).await, ["user4999"]);
    assert_eq!(names(bed, "user1", Role::User).await.len(), 1111);
    assert_eq!(found(bed, "bird", Role::User, 100).await, found(bed, "rare", Role::User, 2).await);
    assert_eq!(found(bed, "user100", Role::Superadmin, 4).await.len(), 11);
}

async fn a_changed_user_is_found_by_its_new_values(bed: &Bed) {
    tx(&bed.store).await.insert_user(named("ann", "Before Change"), None).await.unwrap();
    assert_eq!(names(bed, "before", Role::User).await, ["ann"]);
    bed.sql("UPDATE users SET full_name = 'Afterwards Ü', email = 'moved@x.example' WHERE username = 'ann'")
        .unwrap();
    assert_eq!(names(bed, "before", Role::User).await, [""; 0]);
    assert_eq!(names(bed, "afterw", Role::User).await, ["ann"]);
    assert_eq!(names(bed, "moved@", Role::Admin).await, ["ann"]);
    bed.sql("UPDATE users SET full_name = NULL, username = 'bea' WHERE username = 'ann'").unwrap();
    assert_eq!(names(bed, "bea", Role::User).await, ["bea"]);
    assert_eq!(names(bed, "afterwards ü", Role::User).await, [""; 0], "by the index, too");
    bed.sql("DELETE FROM users").unwrap();
    assert_eq!(names(bed, "bea", Role::User).await, [""; 0]);
}
