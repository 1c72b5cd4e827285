//! Hashes of other systems verify, and nothing else does.

use super::*;

const PASSWORD: &str = "correct horse battery";

/// Made by Django 5.2, passlib 1.7.4 and Werkzeug 3.1.
const HASHES: [&str; 17] = [
    "pbkdf2_sha256$1000$seasalt2$/AgPzJG5e6Yv25JIyxyWfNnB6QXmfp0Y+BEGfC3zoJE=",
    "pbkdf2_sha1$1000$seasalt2$ZXKgkKtGgMyeFjSN97n9NWVUzUU=",
    "scrypt$16$seasalt$8$5$xAqYCS9W+caLs5681n2R3APXiV72AslhItKsBTG6TWWbPXynv+QwCiG9z2QDe6+Ni3HtwW9T7etq0bMXflFWlA==",
    "$pbkdf2-sha256$1000$MDEyMzQ1Njc4OWFiY2RlZg$BVALGMmC/K/8ELErc5VgJxyPFApArIZRCQsqjEgZWJ4",
    "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$7F/Y1rnWXXurLCfFvAmyjyXtbABhgzBTBNcm//wlnvGBOz7OExlgRFs5qwaY5PzB3/WjR7P4yv/ACDQZpDXIfQ",
    "$pbkdf2$1000$MDEyMzQ1Njc4OWFiY2RlZg$rDjxw4qmzpl4HTyqLNYNsdE5Zi4",
    "$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "$2a$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "bcrypt$$2b$04$c6OiGSwDENz7AGiTPczhZeN4JXUsZLsUqFRtPgWLbGU2qTlHZ1Ly6",
    "bcrypt_sha256$$2b$04$wMCZAb1g.scjv3tG6BXf1OuBpTM3V3eSu0gymB6BF6Gr/4qcOKs86",
    "$bcrypt-sha256$v=2,t=2b,r=4$BZ0wqitMTV8MpOOfy73wV.$rVD7.nsd7KWhqCvMa1wSAk2n592Hxim",
    "$bcrypt-sha256$2b,4$GkInfLu8Mtkfdf9LpwRql.$OR489reJzt0zxIMc9GUQSCqreyMdiDW",
    "$scrypt$ln=4,r=8,p=1$rRXCGAPA2Pu/l3JOSUmJ0Q$fIKr16A8/0X/ktWJbfv1dKCkRA8SY/awzWzlgFMcaGs",
    "pbkdf2:sha256:1000$ULJKs9XQ86hxJQLY$1966e24bbe6f4a95deb239c9426dad0d4c196ceaef3e5ef70878f9e0e8e239d3",
    "pbkdf2:sha1:1000$TUFzPmr8zg0q7NZt$c30ae98d0397cfcf1184b56247a2b78c7247851a",
    "pbkdf2:sha512:1000$avVW3H1Z8HgqBbXk$ff320ee51442d5a84a9050564dc079ee271635c1056117d73fcd8b638bc2c6b059040fe71eb55e0f6b8ba64fa2ac2f64a7d85cc914780c85b5cddcdc0b04329f",
    "scrypt:1024:8:1$LlPDfaYZqZqbdt8X$db194c78fb199eb8ba6d30e77414cfdf5bcef1f68d834fbba4dc0c3ea9da7e6618771fd8c0242191944711a3a91ba84eee74295a087d59a8e00e40ecb52f4e67",
];

#[test]
fn hashes_of_django_passlib_and_werkzeug_verify_and_nothing_else_does() {
    for hash in HASHES {
        assert!(is_known(hash) && verify(PASSWORD.as_bytes(), hash), "{hash}");
        assert!(!verify(b"correct house battery", hash), "{hash}");
    }
    let of_64 = "00".repeat(64);
    for hash in [
        "",
        "x",
        "$",
        "md5$a$0123456789abcdef0123456789abcdef",
        "pbkdf2_sha256$0$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2_sha256$4000000000$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "pbkdf2_sha256$1$salt$",
        "$pbkdf2-sha256$1$AAAA$",
        "$2b$31$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuabcdefghijklmn",
        "$2b$04$short",
        "$bcrypt-sha256$v=3,t=2b,r=4$BZ0wqitMTV8MpOOfy73wV.$rVD7.nsd7KWhqCvMa1wSAk2n592Hxim",
        "$bcrypt-sha256$v=2,t=2b,r=17$BZ0wqitMTV8MpOOfy73wV.$rVD7.nsd7KWhqCvMa1wSAk2n592Hxim",
        "$bcrypt-sha256$v=2,t=2x,r=4$BZ0wqitMTV8MpOOfy73wV.$rVD7.nsd7KWhqCvMa1wSAk2n592Hxim",
        "pbkdf2:sha256:1000$salt$00",
        "pbkdf2:md5:1000$salt$00000000000000000000000000000000000000000000",
        "pbkdf2:sha256:10000001$salt$00000000000000000000000000000000000000000000",
        &format!("scrypt:32768:8:1$salt${of_64}0"),
        &format!("scrypt:32767:8:1$salt${of_64}"),
        // More memory, and more work, than the bounds.
        &format!("scrypt:524288:8:1$salt${of_64}"),
        &format!("scrypt:262144:8:9$salt${of_64}"),
        &format!("scrypt:18446744073709551616:8:1$salt${of_64}"),
        &format!("scrypt:9223372036854775808:8:1$salt${of_64}"),
        &format!("scrypt:16:0:1$salt${of_64}"),
        &format!("scrypt:16:4294967295:4294967295$salt${of_64}"),
        // The memory of the lanes, which the first two bounds do not have.
        &format!("scrypt:2:1:8388608$salt${of_64}"),
        &format!("scrypt:2:1048576:8$salt${of_64}"),
        &format!("scrypt:2:65536:65536$salt${of_64}"),
        "scrypt$1$s$1$16777216$AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        // Each block of the hash costs all iterations again.
        &format!("pbkdf2:sha256:1000$salt${of_64}00"),
        &format!("scrypt:32768:8:1$salt${of_64}00"),
        "$scrypt$ln=64,r=8,p=1$rRXCGAPA2Pu/l3JOSUmJ0Q$fIKr16A8/0X/ktWJbfv1dKCkRA8SY/awzWzlgFMcaGs",
        "$scrypt$ln=4,r=8,p=1,q=1$rRXCGAPA2Pu/l3JOSUmJ0Q$fIKr16A8/0X/ktWJbfv1dKCkRA8SY/awzWzlgFMcaGs",
        "scrypt$16$seasalt$8$5$AAAA",
    ] {
        assert!(!is_known(hash) && !verify(PASSWORD.as_bytes(), hash), "{hash}");
    }
}
