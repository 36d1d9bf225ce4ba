-- Makes a database that a test has used what it was when it was freshly migrated. Fails where its form has changed.
DO $$
DECLARE
    name text;
    has_rows boolean;
    touched text[] := '{}';
BEGIN
    -- Every server that serves makes the weeks around now.
    FOR name IN
        SELECT inhrelid::regclass FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
        WHERE inhparent = 'readings'::regclass AND starts_with(relname, 'readings_w')
    LOOP
        EXECUTE format('DROP TABLE %s', name);
    END LOOP;
    IF (SELECT digest FROM fresh.form) IS DISTINCT FROM (SELECT digest FROM fresh.was) THEN
        RAISE EXCEPTION 'a test has changed the form of this database';
    END IF;
    FOR name IN
        SELECT format('public.%I', relname) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %s)', name) INTO has_rows;
        IF has_rows THEN
            touched := touched || name;
        END IF;
    END LOOP;
    IF touched <> '{}' THEN
        EXECUTE format('TRUNCATE %s CASCADE', array_to_string(touched, ', '));
    END IF;
    FOR name IN SELECT filled.name FROM fresh.filled ORDER BY place LOOP
        EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE TABLE fresh.%I', name, 'of_' || name);
    END LOOP;
    PERFORM setval(
        sequences.name::regclass,
        coalesce(sequences.last_value, sequences.start_value),
        sequences.last_value IS NOT NULL
    ) FROM fresh.sequences;
END $$;
