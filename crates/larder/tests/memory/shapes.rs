//! The shapes of values that are measured.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A vector of twenty short texts.
#[derive(Serialize, Deserialize)]
pub struct Texts(Vec<String>);

impl Texts {
    pub fn of(seed: u64) -> Self {
        Texts((0..20).map(|n| format!("t{:04}", (seed * 31 + n) % 10_000)).collect())
    }
}

/// A user as a service stores one.
#[derive(Serialize, Deserialize)]
pub struct User {
    id: u64,
    name: String,
    email: String,
    bio: Option<String>,
    city: Option<String>,
    created_at: i64,
    seen_at: Option<i64>,
    roles: Vec<String>,
    settings: Settings,
    is_active: bool,
}

#[derive(Serialize, Deserialize)]
struct Settings {
    language: String,
    zone: String,
    theme: Option<Theme>,
    page_size: u16,
}

#[derive(Serialize, Deserialize)]
enum Theme {
    Dark,
    Custom { background: u32, text: u32 },
}

impl User {
    pub fn of(seed: u64) -> Self {
        User {
            id: seed,
            name: format!("User Number {seed}"),
            email: format!("user.number.{seed}@example.org"),
            bio: (!seed.is_multiple_of(3)).then(|| "likes the sea. ".repeat(seed as usize % 7 + 1)),
            city: seed.is_multiple_of(2).then(|| "Lisbon".to_owned()),
            created_at: seed as i64,
            seen_at: Some(7),
            roles: (0..seed % 3).map(|n| format!("role-{n}")).collect(),
            settings: Settings {
                language: "en".to_owned(),
                zone: "Europe/Lisbon".to_owned(),
                theme: match seed % 3 {
                    0 => None,
                    1 => Some(Theme::Dark),
                    _ => Some(Theme::Custom { background: 1, text: 2 }),
                },
                page_size: 50,
            },
            is_active: true,
        }
    }
}

/// A map of fifty texts to texts.
#[derive(Serialize, Deserialize)]
pub struct Mapped(HashMap<String, String>);

impl Mapped {
    pub fn of(seed: u64) -> Self {
        Mapped((0..50).map(|n| (format!("key {n}"), format!("value {} of {n}", seed % 1000))).collect())
    }
}

/// 64 KiB of bytes, encoded as bytes.
#[derive(Serialize, Deserialize)]
pub struct Blob(#[serde(with = "serde_bytes")] Vec<u8>);

impl Blob {
    pub fn of(seed: u64) -> Self {
        Blob(vec![seed as u8; 64 << 10])
    }
}

/// 64 KiB of bytes, encoded as a sequence of numbers.
#[derive(Serialize, Deserialize)]
pub struct Numbers(Vec<u8>);

impl Numbers {
    pub fn of(seed: u64) -> Self {
        Numbers(vec![seed as u8 & 0x7F; 64 << 10])
    }
}

/// 64 KiB of numbers of eight bytes, encoded as a sequence.
#[derive(Serialize, Deserialize)]
pub struct Words(Vec<u64>);

impl Words {
    pub fn of(seed: u64) -> Self {
        Words(vec![seed & 0x7F; 8 << 10])
    }
}

/// A tree of structs and enums.
#[derive(Serialize, Deserialize)]
pub enum Expression {
    Number(f64),
    Name(String),
    Sum(Box<Expression>, Box<Expression>),
    Call { name: String, arguments: Vec<Expression> },
}

impl Expression {
    pub fn of(seed: u64) -> Self {
        Expression::at(seed, 6)
    }

    fn at(seed: u64, depth: u32) -> Self {
        match (depth, seed % 3) {
            (0, 0) => Expression::Number(seed as f64),
            (0, _) => Expression::Name(format!("variable {}", seed % 100)),
            (_, 0) => Expression::Call {
                name: "longest".to_owned(),
                arguments: (0..3).map(|n| Expression::at(seed / 3 + n, depth - 1)).collect(),
            },
            _ => {
                let part = |n| Box::new(Expression::at(seed / 2 + n, depth - 1));
                Expression::Sum(part(1), part(2))
            }
        }
    }
}

/// A value of any of the shapes.
#[derive(Serialize, Deserialize)]
pub enum Any {
    Texts(Texts),
    User(Box<User>),
    Mapped(Mapped),
    Blob(Blob),
    Tree(Expression),
}

impl Any {
    pub fn of(seed: u64) -> Self {
        match seed % 40 {
            0 => Any::Blob(Blob(vec![seed as u8; (seed as usize * 7919) % (128 << 10)])),
            1..10 => Any::Mapped(Mapped::of(seed)),
            10..20 => Any::Tree(Expression::of(seed)),
            20..30 => Any::Texts(Texts::of(seed)),
            _ => Any::User(Box::new(User::of(seed))),
        }
    }
}
