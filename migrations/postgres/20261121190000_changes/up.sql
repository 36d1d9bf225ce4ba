-- Servers remember what they read for as long as they do not hear that it changed. That it did the database tells them
-- itself, as part of the commit, so that no change goes untold: not one of an older server, nor of somebody with psql.
-- Readings and the heads of equipment are not told of. They change all the time, and a commit that tells of something waits
-- for all others that do.
CREATE FUNCTION tell_of_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('techtrack_changes', TG_ARGV[0]);
    RETURN NULL;
END $$;

CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON users
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('people');
CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON roles
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('people');
CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON role_permissions
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('people');
CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON user_roles
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('people');

-- Who is not known yet is asked for each time, and that a credential was used or refreshed changes nothing for whom it lets in.
CREATE TRIGGER tell_of_change AFTER UPDATE OF user_id OR DELETE OR TRUNCATE ON sessions
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('credentials');
CREATE TRIGGER tell_of_change AFTER UPDATE OF user_id, digest, permissions, expires_at OR DELETE OR TRUNCATE ON api_keys
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('credentials');
CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON api_key_equipment
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('credentials');

CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON equipment
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('equipment');
CREATE TRIGGER tell_of_change AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON alert_rules
    FOR EACH STATEMENT EXECUTE FUNCTION tell_of_change('rules');
