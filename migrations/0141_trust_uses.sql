-- Published: whose use a document holds.
create view trust.v_use as
  select cell, purpose, person_id, cluster_id, document_kind, document_id, most from trust.use;
