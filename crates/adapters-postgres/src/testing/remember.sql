-- Run once in the template: keeps, in a schema of its own, what a freshly migrated database looks like.
CREATE SCHEMA fresh;

-- What is there besides data. A test that changes any of it has a database that is not lent again.
CREATE VIEW fresh.form AS
SELECT md5(string_agg(line, E'\n' ORDER BY line COLLATE "C")) AS digest
FROM (
    SELECT concat_ws(' ', 'column', attrelid::regclass, attnum, attname, atttypid, atttypmod, attnotnull)
    FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, convalidated, pg_get_constraintdef(oid))
    FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'index', indexdef) FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL
    SELECT concat_ws(' ', 'trigger', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL
    SELECT concat_ws(' ', 'function', oid::regprocedure, md5(prosrc))
    FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'table', oid::regclass, relkind, relpersistence, reloptions::text, relacl::text,
        pg_get_expr(relpartbound, oid))
    FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT concat_ws(' ', 'setting', setconfig::text)
    FROM pg_db_role_setting JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
) AS described (line);

CREATE TABLE fresh.was AS SELECT digest FROM fresh.form;

CREATE TABLE fresh.sequences AS
SELECT format('public.%I', sequencename) AS name, last_value, start_value
FROM pg_sequences WHERE schemaname = 'public';

-- The rows that migrations put there, in the order in which tables were made: those that are referred to come first.
CREATE TABLE fresh.filled (place int GENERATED ALWAYS AS IDENTITY, name text);

DO $$
DECLARE
    name text;
    has_rows boolean;
BEGIN
    FOR name IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY oid
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', name) INTO has_rows;
        IF has_rows THEN
            EXECUTE format('CREATE TABLE fresh.%I AS TABLE public.%I', 'of_' || name, name);
            INSERT INTO fresh.filled (name) VALUES (name);
        END IF;
    END LOOP;
END $$;
