-- Published: who came into which segment when, gone since or not, and whether nothing may be done to them. An effect is
-- told from everybody who came: whoever buys may leave a segment by it, and counting only who stayed would hide that.
create view audience.v_entry as
  select m.cell, m.segment_id, m.person_id, m.entered_at, m.bucket < s.holdout_basis_points as is_held
    from audience.membership m join audience.segment s on s.cell = m.cell and s.id = m.segment_id;
