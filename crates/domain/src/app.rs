//! Use cases: the verbs of the product, one public function each.
