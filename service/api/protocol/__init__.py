"""HTTP as all endpoints speak it: problems, headers, and how OpenAPI describes them."""
