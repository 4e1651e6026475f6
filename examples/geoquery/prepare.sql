-- geography.json as conversations, by the question split: its names and values put into questions and queries.
.mode list
-- One query names a table out of its scope; the second form of it is right.
create table queries as
  select value ->> iif(value ->> '$.sql[0]' like 'SELECT DERIVED_TABLEalias1.STATE_NAME %', '$.sql[1]', '$.sql[0]') as sql,
         value -> '$.sentences' as sentences
  from json_each(readfile('geography.json'));
create table examples as
with recursive
  sentences(split, variables, text, sql) as (
    select s.value ->> '$."question-split"', s.value -> '$.variables', s.value ->> '$.text', sql
    from queries, json_each(sentences) s),
  filled(split, variables, n, text, sql) as (
    select split, variables, 0, text, sql from sentences
    union all
    select split, variables, n + 1, replace(text, v.key, v.value), replace(sql, v.key, v.value)
    from filled, json_each(filled.variables) v
    where (select count(*) from json_each(filled.variables) w where w.id < v.id) = n)
select split, text, sql from filled where n = (select count(*) from json_each(variables));
-- The aliases of the data set say nothing and cost tokens.
update examples set sql = rtrim(replace(sql, 'alias', ''), ' ;');
create view prompt as select 'Answer with one SQLite query over these tables: ' ||
  'state(state_name, population, area, capital, density), city(city_name, state_name, population), ' ||
  'border_info(state_name, border), river(river_name, length, traverse), lake(lake_name, area, state_name), ' ||
  'mountain(mountain_name, mountain_altitude, state_name), ' ||
  'highlow(state_name, highest_point, highest_elevation, lowest_point, lowest_elevation).' as system;
create view lines as select split, json_object('messages', json_array(
    json_object('role', 'system', 'content', system), json_object('role', 'user', 'content', text),
    json_object('role', 'assistant', 'content', sql))) as line from examples, prompt;
.output train.jsonl
select line from lines where split = 'train';
.output dev.jsonl
select line from lines where split = 'dev';
.output test.jsonl
select line from lines where split = 'test';
