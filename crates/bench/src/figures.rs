//! The questions, one a module.

pub(crate) mod bulk;
pub(crate) mod growth;
pub(crate) mod load;
pub(crate) mod overload;
pub(crate) mod peers;
pub(crate) mod queries;
pub(crate) mod reads;
pub(crate) mod rules;
pub(crate) mod single;
pub(crate) mod sqlite;
