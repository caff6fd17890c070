-- The shard key goes to the end of every index. An index that begins with `cell` looks to a planner without statistics as good as
-- any other that does, and it then reads a whole young table through the wrong one (decision 0017). What an index promises does not
-- depend on the order of its columns.
do $$
declare
  one record;
  made text;
begin
  for one in
    select c.oid::regclass as index_name, c.relname, n.nspname, t.oid::regclass as table_name, k.conname, k.contype,
           pg_get_indexdef(c.oid) as definition
      from pg_index i
      join pg_class c on c.oid = i.indexrelid
      join pg_class t on t.oid = i.indrelid and t.relkind = 'r' and not t.relispartition
      join pg_namespace n on n.oid = t.relnamespace
      left join pg_constraint k on k.conindid = c.oid and k.contype in ('p', 'u')
     where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
       and pg_get_indexdef(c.oid) ~ ' USING btree \(cell, '
       -- what other tables refer to by key stays: those are small
       and not exists (select from pg_constraint f where f.contype = 'f' and f.conindid = c.oid)
     order by 1
  loop
    -- The list of columns ends at the last parenthesis before what may follow it.
    made := regexp_replace(one.definition,
      '^(.* USING btree \()cell, (.*?)\)((?: INCLUDE \(.*| NULLS NOT DISTINCT.*| WITH \(.*| WHERE .*)?)$', '\1\2, cell)\3');
    if made = one.definition then
      raise exception 'no rule for %', one.definition;
    end if;
    if one.conname is null then
      execute format('drop index %s', one.index_name);
      execute made;
    else
      execute format('alter table %s drop constraint %I', one.table_name, one.conname);
      execute made;
      execute format('alter table %s add constraint %I %s using index %I', one.table_name, one.conname,
        case one.contype when 'p' then 'primary key' else 'unique' end, one.relname);
    end if;
  end loop;
end $$;
