-- A search takes the signs that people write for an apostrophe for one, and those for a hyphen too. See
-- src/domain/folding.rs.

INSERT OR REPLACE INTO search_letters (code, form) SELECT CAST(key AS INTEGER), value FROM json_each(
'{
"329":"\u0027n","699":"\u0027","700":"\u0027","8208":"-","8209":"-","8210":"-","8211":"-","8216":"\u0027",
"8217":"\u0027","8219":"\u0027","8315":"-","8331":"-","8722":"-","65074":"-"
}');

-- The texts that have such a sign are folded again. The triggers of user_texts keep the index.
DELETE FROM user_texts WHERE coalesce(full_name, '') || ' ' || username || ' ' || email
    GLOB '*[' || char(699, 700, 8216, 8217, 8219, 8208, 8210, 8211, 8722) || ']*';
INSERT INTO user_texts (number, full_name, username, email)
    SELECT number, full_name, username, email FROM user_texts_folded
    WHERE number NOT IN (SELECT number FROM user_texts);

INSERT INTO larder_compatibility (version, oldest) VALUES (20, 14);
