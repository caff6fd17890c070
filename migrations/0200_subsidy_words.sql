comment on column subsidy.match.person_id is 'pii: who asked for the price match; as long as the order''s books';
comment on column subsidy.match.link is 'pii: the link a buyer sent as evidence; until erasure';
comment on column subsidy.match.picture_id is 'pii: the picture a buyer sent as evidence; until erasure';
