-- Searching users by any three characters of their names and addresses, in any case. The index holds no copy of the text.

CREATE VIRTUAL TABLE user_search USING fts5 (
    full_name, username, email, content = 'users', content_rowid = 'number', tokenize = 'trigram'
);

CREATE TRIGGER users_search_inserted AFTER INSERT ON users BEGIN
    INSERT INTO user_search (rowid, full_name, username, email)
        VALUES (NEW.number, NEW.full_name, NEW.username, NEW.email);
END;
CREATE TRIGGER users_search_deleted AFTER DELETE ON users BEGIN
    INSERT INTO user_search (user_search, rowid, full_name, username, email)
        VALUES ('delete', OLD.number, OLD.full_name, OLD.username, OLD.email);
END;
CREATE TRIGGER users_search_updated AFTER UPDATE OF number, full_name, username, email ON users
    WHEN OLD.number <> NEW.number OR OLD.full_name IS NOT NEW.full_name
        OR OLD.username <> NEW.username OR OLD.email <> NEW.email
BEGIN
    INSERT INTO user_search (user_search, rowid, full_name, username, email)
        VALUES ('delete', OLD.number, OLD.full_name, OLD.username, OLD.email);
    INSERT INTO user_search (rowid, full_name, username, email)
        VALUES (NEW.number, NEW.full_name, NEW.username, NEW.email);
END;
