//! The user of Redis that the documentation recommends.

/// The rights of the user in docs/redis.md, with this namespace and this password, as the arguments of `ACL SETUSER` after
/// the user's name. So tests use exactly what operators read.
pub fn acl_user(namespace: &str, password: &str) -> Vec<String> {
    let page = include_str!("../../../docs/redis.md");
    let block = page.split_once("ACL SETUSER larder on ").map_or("", |(_, rest)| rest);
    let block = block.split_once("```").map_or("", |(block, _)| block);
    let with_password = block.replace("PASSWORD", password).replace("~hotel:", &format!("~{namespace}:"));
    ["on"].into_iter().chain(with_password.split_whitespace()).map(str::to_owned).collect()
}
