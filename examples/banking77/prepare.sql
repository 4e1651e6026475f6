-- The CSV files as conversations: ten examples of each intent to train on, the first ones, and the whole test.
.mode list
.import --csv train.csv train
.import --csv test.csv test
create view prompt as select 'Name the intent of the customer''s message.' as system;
.output train.jsonl
select json_object('messages', json_array(json_object('role', 'system', 'content', system),
                                          json_object('role', 'user', 'content', text),
                                          json_object('role', 'assistant', 'content', category)))
from (select *, row_number() over (partition by category order by rowid) as number from train), prompt
where number <= 10 order by number, category;
.output test.jsonl
select json_object('messages', json_array(json_object('role', 'system', 'content', system),
                                          json_object('role', 'user', 'content', text),
                                          json_object('role', 'assistant', 'content', category)))
from test, prompt order by test.rowid;
