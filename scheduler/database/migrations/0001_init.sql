-- The first schema: Dags and their versions, runs, task instances, attempts, results, import errors, audit.
-- There is no former version to survive it.
--
-- Who writes what: the API inserts dag_run (queued) and run_command; everything else about a run is written by
-- the one scheduler whose id stands in dag_run.scheduler_id, through commit_changes(). That scheduler's row in
-- `scheduler` is its lease and its fence: a scheduler whose row is gone can commit nothing.

create table scheduler (
  scheduler_id bigint generated always as identity primary key,
  hostname text not null,
  pid integer not null,
  started_at timestamptz not null default now(),
  -- The past: everything that it leases may be taken over.
  lease_expires_at timestamptz not null,
  -- Number of its newest commit, so that one whose answer was lost is not made twice.
  commit_number bigint not null default 0
) with (fillfactor = 50);

create table bundle (
  bundle_hash text primary key,
  code text not null,
  created_at timestamptz not null default now()
);

create table dag_version (
  dag_version_id bigint generated always as identity primary key,
  dag_id text not null,
  version_number integer not null,
  -- Hash of bundle and manifest: the same content is the same version, whatever commit it comes with.
  version_hash text not null,
  bundle_hash text not null references bundle,
  manifest jsonb not null,
  file text not null,
  -- The commit that brought this version first; null for a plain directory.
  commit_sha text,
  created_at timestamptz not null default now(),
  unique (dag_id, version_hash),
  unique (dag_id, version_number)
);

create table dag (
  dag_id text primary key,
  dag_version_id bigint not null references dag_version,
  -- The commit that new runs are pinned to: the newest one with which this version was seen.
  commit_sha text,
  is_paused boolean not null,
  -- True: no module of the published tree has it any more. It keeps its runs and gets no new ones.
  is_stale boolean not null default false,
  max_active_runs integer not null check (max_active_runs >= 1),
  first_seen_at timestamptz not null default now(),
  -- The next run that the timetable gives; null: none.
  next_logical_date timestamptz,
  next_data_interval_start timestamptz,
  next_data_interval_end timestamptz,
  next_run_after timestamptz
);
create index dag_next_run_after on dag (next_run_after) where not is_paused and not is_stale;

create table dag_run (
  dag_run_id bigint generated always as identity primary key,
  dag_id text not null references dag,
  run_id text not null,
  dag_version_id bigint not null references dag_version,
  commit_sha text,
  run_type text not null check (run_type in ('scheduled', 'manual')),
  state text not null default 'queued' check (state in ('queued', 'running', 'success', 'failed')),
  logical_date timestamptz,
  data_interval_start timestamptz,
  data_interval_end timestamptz,
  run_after timestamptz not null default now(),
  -- As given by whoever triggered it; the Dag's defaults are merged in when it runs.
  params json not null default '{}',
  triggered_by text not null,
  queued_at timestamptz not null default now(),
  start_date timestamptz,
  end_date timestamptz,
  scheduler_id bigint,
  unique (dag_id, run_id),
  -- A queued run has no owner; an ended one has while something of it is to be cleared.
  check (scheduler_id is null or state <> 'queued'),
  check ((end_date is not null) = (state in ('success', 'failed')))
);
create unique index dag_run_scheduled on dag_run (dag_id, logical_date) where run_type = 'scheduled';
create index dag_run_queued on dag_run (dag_id, run_after, dag_run_id) where state = 'queued';
create index dag_run_running on dag_run (dag_id, scheduler_id) where state = 'running';
create index dag_run_recent on dag_run (dag_id, dag_run_id desc);

-- No row: the task was not reached yet. The row is at once the newest attempt of the task instance: most tasks have
-- one attempt, and one row that is inserted and updated costs half of two. Rows are small and change in place
-- (fillfactor leaves room for that). commit_changes() is the only writer, so there is no foreign key to dag_run: its
-- check per row would cost a seventh of each commit.
create table task_instance (
  dag_run_id bigint not null,
  task_id text not null,
  map_index integer not null default -1,
  state text not null check (state in
    ('none', 'queued', 'running', 'success', 'failed', 'up_for_retry', 'skipped', 'upstream_failed')),
  -- Number of the newest attempt; 0: none was made.
  try_number integer not null,
  -- The number up to which failed attempts are retried; clearing raises it.
  max_tries integer not null,
  next_try_at timestamptz,
  -- Of the newest attempt, as what follows; without one, when it was decided that there would be none.
  start_date timestamptz,
  end_date timestamptz,
  -- null: there is no attempt, or the instance was cleared and its attempts are all in past_attempt.
  attempt_state text check (attempt_state in ('queued', 'running', 'success', 'failed', 'skipped')),
  token uuid,
  executor text,
  -- Who dispatched it, and so where its runner's journal is; it may be gone.
  scheduler_id bigint,
  queued_at timestamptz,
  -- Where it ran: host and process, for people.
  hostname text,
  pid integer,
  exit_code integer,
  error json,
  primary key (dag_run_id, task_id, map_index),
  check ((next_try_at is not null) = (state = 'up_for_retry')),
  check (state not in ('queued', 'running') or attempt_state = state)
) with (fillfactor = 60);

-- Attempts that another one followed, or whose task instance was cleared.
create table past_attempt (
  dag_run_id bigint not null,
  task_id text not null,
  map_index integer not null,
  try_number integer not null,
  state text not null check (state in ('success', 'failed', 'skipped')),
  token uuid not null,
  executor text not null,
  scheduler_id bigint not null,
  queued_at timestamptz not null,
  start_date timestamptz,
  end_date timestamptz not null,
  hostname text,
  pid integer,
  exit_code integer,
  error json,
  primary key (dag_run_id, task_id, map_index, try_number)
);

-- Every attempt, past and present.
create view attempt as
select dag_run_id, task_id, map_index, try_number, attempt_state as state, token, executor, scheduler_id, queued_at,
       start_date, end_date, hostname, pid, exit_code, error
from task_instance where attempt_state is not null
union all
select dag_run_id, task_id, map_index, try_number, state, token, executor, scheduler_id, queued_at,
       start_date, end_date, hostname, pid, exit_code, error
from past_attempt;

create table xcom (
  dag_run_id bigint not null,
  task_id text not null,
  map_index integer not null,
  key text not null default 'return_value',
  -- json, not jsonb: the text is kept as the task gave it, key order and \u0000 included.
  value json not null,
  created_at timestamptz not null default now(),
  primary key (dag_run_id, task_id, map_index, key)
);

create table import_error (
  -- The Dag module that is not loaded.
  file text primary key,
  -- Where line and column are: the module itself, or a file that it imports.
  error_file text not null,
  line integer,
  "column" integer,
  message text not null,
  hint text,
  stack text,
  commit_sha text,
  created_at timestamptz not null default now()
);

-- What people ask of a run. The run's scheduler takes it, decides, and deletes it with the same commit.
create table run_command (
  run_command_id bigint generated always as identity primary key,
  dag_run_id bigint not null references dag_run on delete cascade,
  command text not null check (command in ('cancel', 'clear')),
  arguments jsonb not null default '{}',
  actor text not null,
  created_at timestamptz not null default now()
);
create index run_command_dag_run_id on run_command (dag_run_id);

create table audit_event (
  audit_event_id bigint generated always as identity primary key,
  created_at timestamptz not null default now(),
  actor text not null,
  action text not null,
  dag_id text,
  run_id text,
  task_id text,
  details jsonb not null default '{}'
);

-- Queued runs of Dags with room under max_active_runs become running and leased by p_scheduler_id, oldest first.
-- The Dag's row is locked before its running runs are counted, each statement with a snapshot of its own, so two
-- schedulers never start one run too many; a Dag that another scheduler is busy with is left to it.
create function start_dag_runs(p_scheduler_id bigint, p_limit integer) returns setof dag_run
language plpgsql
set plan_cache_mode = force_generic_plan
as $$
declare
  dag_ids text[];
begin
  perform 1 from scheduler where scheduler_id = p_scheduler_id for key share;
  if not found then
    raise exception 'scheduler % has lost its lease', p_scheduler_id using errcode = 'BL001';
  end if;
  select array_agg(locked.dag_id) into dag_ids from (
    select d.dag_id from dag d
    where not d.is_paused
      and exists (select 1 from dag_run q where q.dag_id = d.dag_id and q.state = 'queued' and q.run_after <= now())
    for no key update skip locked
  ) locked;
  if dag_ids is null then
    return;
  end if;
  return query
    update dag_run r
    set state = 'running', scheduler_id = p_scheduler_id, start_date = coalesce(r.start_date, clock_timestamp())
    from (
      select c.dag_run_id
      from dag d
      cross join lateral (
        select q.dag_run_id, q.run_after from dag_run q
        where q.dag_id = d.dag_id and q.state = 'queued' and q.run_after <= now()
        order by q.run_after, q.dag_run_id
        limit greatest(0, d.max_active_runs - (
          select count(*) from dag_run a where a.dag_id = d.dag_id and a.state = 'running'))
      ) c
      where d.dag_id = any (dag_ids)
      order by c.run_after, c.dag_run_id
      limit p_limit
    ) chosen
    where r.dag_run_id = chosen.dag_run_id and r.state = 'queued'
    returning r.*;
end $$;

-- One commit of a scheduler: everything that its decisions changed since the last one, over all of its runs.
-- Fenced: raises BL001 where the scheduler's row is gone. The row is locked for the length of the commit, so a
-- takeover waits for it and sees all of it. The commit also renews the lease. Commits of a scheduler are numbered;
-- giving the number of the newest one again does nothing, since its answer was lost on the way. Raises BL002 where a row is not in the state
-- that the decision left it in, which would mean a second writer. Each argument is a JSON array of objects
-- whose keys are the columns; an absent kind of change is null.
create function commit_changes(
  p_scheduler_id bigint,
  p_commit_number bigint,
  p_lease_ttl interval,
  p_queued_new json,       -- first attempts: dag_run_id, task_id, map_index, try_number, max_tries, token, executor
  p_queued_again json,     -- further ones: the same and from_state
  p_started json,          -- dag_run_id, task_id, map_index, try_number, start_date, hostname, pid
  p_finished json,         -- the same and from_state, to_state, attempt_state, end_date, next_try_at, exit_code, error, result
  p_decided_new json,      -- states without an attempt, no row so far: dag_run_id, task_id, map_index, state, max_tries
  p_decided json,          -- states of existing rows: dag_run_id, task_id, map_index, from_state, to_state, max_tries
  p_runs json,             -- dag_run_id, state
  p_commands_done bigint[]
) returns void
language plpgsql
-- Plans are made once, when these tables may be empty and unknown to the planner: it would read them whole, and go on
-- doing so when they have grown. Every row that is touched here is found by primary key.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
declare
  expected bigint;
  changed bigint;
begin
  update scheduler
  set commit_number = p_commit_number, lease_expires_at = clock_timestamp() + p_lease_ttl
  where scheduler_id = p_scheduler_id and commit_number = p_commit_number - 1;
  if not found then
    perform 1 from scheduler where scheduler_id = p_scheduler_id and commit_number = p_commit_number;
    if found then
      return;
    end if;
    raise exception 'scheduler % has lost its lease', p_scheduler_id using errcode = 'BL001';
  end if;

  if p_queued_new is not null then
    insert into task_instance (dag_run_id, task_id, map_index, state, try_number, max_tries,
      attempt_state, token, executor, scheduler_id, queued_at)
    select dag_run_id, task_id, map_index, 'queued', try_number, max_tries,
      'queued', token, executor, p_scheduler_id, now()
    from json_to_recordset(p_queued_new) as c (
      dag_run_id bigint, task_id text, map_index integer, try_number integer, max_tries integer, token uuid,
      executor text);
  end if;

  if p_queued_again is not null then
    expected := json_array_length(p_queued_again);
    with c as materialized (
      select * from json_to_recordset(p_queued_again) as c (
        dag_run_id bigint, task_id text, map_index integer, try_number integer, max_tries integer, token uuid,
        executor text, from_state text)
    ), past as (
      insert into past_attempt (dag_run_id, task_id, map_index, try_number, state, token, executor, scheduler_id,
        queued_at, start_date, end_date, hostname, pid, exit_code, error)
      select t.dag_run_id, t.task_id, t.map_index, t.try_number, t.attempt_state, t.token, t.executor, t.scheduler_id,
        t.queued_at, t.start_date, t.end_date, t.hostname, t.pid, t.exit_code, t.error
      from c join task_instance t using (dag_run_id, task_id, map_index)
      where t.state = c.from_state and t.attempt_state is not null
    ), result as (
      delete from xcom x using c
      where c.from_state = 'success'
        and x.dag_run_id = c.dag_run_id and x.task_id = c.task_id and x.map_index = c.map_index
    ), instance as (
      update task_instance t
      set state = 'queued', try_number = c.try_number, max_tries = c.max_tries, next_try_at = null,
          attempt_state = 'queued', token = c.token, executor = c.executor, scheduler_id = p_scheduler_id,
          queued_at = now(), start_date = null, end_date = null, hostname = null, pid = null, exit_code = null,
          error = null
      from c
      where t.dag_run_id = c.dag_run_id and t.task_id = c.task_id and t.map_index = c.map_index
        and t.state = c.from_state
      returning 1
    )
    select count(*) into changed from instance;
    if changed <> expected then
      raise exception 'queued again: % of % task instances were in the state they left', changed, expected
        using errcode = 'BL002';
    end if;
  end if;

  if p_started is not null then
    expected := json_array_length(p_started);
    update task_instance t
    set state = 'running', attempt_state = 'running', start_date = c.start_date, hostname = c.hostname, pid = c.pid
    from json_to_recordset(p_started) as c (
      dag_run_id bigint, task_id text, map_index integer, try_number integer, start_date timestamptz,
      hostname text, pid integer)
    where t.dag_run_id = c.dag_run_id and t.task_id = c.task_id and t.map_index = c.map_index
      and t.state = 'queued' and t.try_number = c.try_number;
    get diagnostics changed = row_count;
    if changed <> expected then
      raise exception 'started: % of % task instances were in the state they left', changed, expected
        using errcode = 'BL002';
    end if;
  end if;

  if p_finished is not null then
    expected := json_array_length(p_finished);
    with c as materialized (
      select * from json_to_recordset(p_finished) as c (
        dag_run_id bigint, task_id text, map_index integer, try_number integer, from_state text, to_state text,
        attempt_state text, start_date timestamptz, end_date timestamptz, next_try_at timestamptz, hostname text,
        pid integer, exit_code integer, error json, result text)
    ), instance as (
      update task_instance t
      set state = c.to_state, attempt_state = c.attempt_state, start_date = c.start_date, end_date = c.end_date,
          next_try_at = c.next_try_at, hostname = c.hostname, pid = c.pid, exit_code = c.exit_code, error = c.error
      from c
      where t.dag_run_id = c.dag_run_id and t.task_id = c.task_id and t.map_index = c.map_index
        and t.state = c.from_state and t.try_number = c.try_number
      returning 1
    ), result as (
      insert into xcom (dag_run_id, task_id, map_index, value)
      select dag_run_id, task_id, map_index, result::json from c
      where to_state = 'success' and result is not null
      on conflict (dag_run_id, task_id, map_index, key) do update set value = excluded.value, created_at = now()
    )
    select count(*) into changed from instance;
    if changed <> expected then
      raise exception 'finished: % of % task instances were in the state they left', changed, expected
        using errcode = 'BL002';
    end if;
  end if;

  if p_decided_new is not null then
    insert into task_instance (dag_run_id, task_id, map_index, state, try_number, max_tries, end_date)
    select dag_run_id, task_id, map_index, state, 0, max_tries, now()
    from json_to_recordset(p_decided_new) as c (
      dag_run_id bigint, task_id text, map_index integer, state text, max_tries integer);
  end if;

  if p_decided is not null then
    expected := json_array_length(p_decided);
    with c as materialized (
      select * from json_to_recordset(p_decided) as c (
        dag_run_id bigint, task_id text, map_index integer, from_state text, to_state text, max_tries integer)
    ), past as (
      insert into past_attempt (dag_run_id, task_id, map_index, try_number, state, token, executor, scheduler_id,
        queued_at, start_date, end_date, hostname, pid, exit_code, error)
      select t.dag_run_id, t.task_id, t.map_index, t.try_number, t.attempt_state, t.token, t.executor, t.scheduler_id,
        t.queued_at, t.start_date, t.end_date, t.hostname, t.pid, t.exit_code, t.error
      from c join task_instance t using (dag_run_id, task_id, map_index)
      where c.to_state <> 'failed' and t.state = c.from_state and t.attempt_state is not null
    ), result as (
      delete from xcom x using c
      where (c.to_state = 'none' or c.from_state = 'success')
        and x.dag_run_id = c.dag_run_id and x.task_id = c.task_id and x.map_index = c.map_index
    ), cleared as (
      -- Their attempts are past: what is decided now is not how they ended.
      update task_instance t
      set state = c.to_state, max_tries = c.max_tries, next_try_at = null, attempt_state = null, token = null,
          executor = null, scheduler_id = null, queued_at = null, start_date = null,
          end_date = case when c.to_state <> 'none' then now() end,
          hostname = null, pid = null, exit_code = null, error = null
      from c
      where c.to_state <> 'failed'
        and t.dag_run_id = c.dag_run_id and t.task_id = c.task_id and t.map_index = c.map_index
        and t.state = c.from_state
      returning 1
    ), failed as (
      -- Only a cancelled wait for a retry becomes failed without a further attempt: the last one stays its newest.
      update task_instance t
      set state = 'failed', max_tries = c.max_tries, next_try_at = null
      from c
      where c.to_state = 'failed'
        and t.dag_run_id = c.dag_run_id and t.task_id = c.task_id and t.map_index = c.map_index
        and t.state = c.from_state
      returning 1
    )
    select (select count(*) from cleared) + (select count(*) from failed) into changed;
    if changed <> expected then
      raise exception 'decided: % of % task instances were in the state they left', changed, expected
        using errcode = 'BL002';
    end if;
  end if;

  if p_runs is not null then
    expected := json_array_length(p_runs);
    update dag_run r
    set state = c.state,
        -- A run that had ended begins anew, with all of its dagrun_timeout before it.
        start_date = case when c.state = 'running' and r.end_date is not null then clock_timestamp()
          else r.start_date end,
        end_date = case when c.state = 'running' then null else coalesce(r.end_date, clock_timestamp()) end,
        scheduler_id = case when c.state = 'running' then p_scheduler_id else null end
    from json_to_recordset(p_runs) as c (dag_run_id bigint, state text)
    where r.dag_run_id = c.dag_run_id and (r.scheduler_id = p_scheduler_id or r.scheduler_id is null);
    get diagnostics changed = row_count;
    if changed <> expected then
      raise exception 'runs: % of % runs were leased by scheduler %', changed, expected, p_scheduler_id
        using errcode = 'BL002';
    end if;
  end if;

  if p_commands_done is not null then
    delete from run_command where run_command_id = any (p_commands_done);
  end if;
end $$;

-- Removes schedulers whose lease has run out and gives every run without a living scheduler to p_scheduler_id.
-- Deleting a row waits for a commit of that scheduler that is under way; after it, that scheduler commits nothing.
create function take_over_runs(p_scheduler_id bigint) returns setof dag_run
language plpgsql as $$
begin
  perform 1 from scheduler where scheduler_id = p_scheduler_id for key share;
  if not found then
    raise exception 'scheduler % has lost its lease', p_scheduler_id using errcode = 'BL001';
  end if;
  delete from scheduler s
  using (select scheduler_id from scheduler
         where lease_expires_at < clock_timestamp() and scheduler_id <> p_scheduler_id
         for update skip locked) expired
  where s.scheduler_id = expired.scheduler_id;
  return query
    update dag_run r
    set scheduler_id = p_scheduler_id
    where r.state = 'running'
      and (r.scheduler_id is null or not exists (select 1 from scheduler s where s.scheduler_id = r.scheduler_id))
    returning r.*;
end $$;

-- The audit of one Dag, newest first.
create index audit_event_dag_id on audit_event (dag_id, audit_event_id desc);
