//! Writing many stored rows by one statement: they are inserted, and what is there already takes over these columns.

/// What an insert that meets a stored row writes to it: these columns as they were to be inserted.
macro_rules! overwrite {
    ($table:ident: $($column:ident),+) => {
        ($($table::$column.eq(diesel::upsert::excluded($table::$column)),)+)
    };
}
pub(crate) use overwrite;
