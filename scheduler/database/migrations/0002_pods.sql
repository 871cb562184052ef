-- Pods: the launch ledger with what became of each pod, the watches with the resourceVersion up to which their
-- events are applied, and the budget of attempts that the cluster fails. The former release survives it: what it
-- does not say stays as it is.
--
-- Who writes what of `pod`: the scheduler that leases the run plans and ends it; the scheduler that holds the
-- namespace's watch writes what was seen of it; a server writes what its attempt reports. Each change that the run's
-- scheduler has to look at raises `revision`, and NOTIFY wakes it.

-- One row. It tells this deployment's pods from those of another one in the same namespace.
create table deployment (
  is_only_row boolean primary key default true check (is_only_row),
  deployment_id uuid not null default gen_random_uuid()
);
insert into deployment default values;

-- Attempts that were made because the cluster, not the task, failed the one before; max_tries was raised for each.
alter table task_instance add column infrastructure_retries integer not null default 0;

create table pod (
  dag_run_id bigint not null,
  task_id text not null,
  map_index integer not null default -1,
  try_number integer not null,
  -- Of the attempt: what is reported of the pod is reported with it.
  token uuid not null,
  kind text not null check (kind in ('task', 'pod', 'job', 'resource')),
  namespace text not null,
  -- A function of deployment and attempt, so that creating it twice makes one.
  pod_name text not null,
  -- As it was sent.
  manifest json not null,
  -- planned: it may or may not exist. created: it does, or did. ended: its attempt's end and log are known.
  -- deleted: it is gone, and nothing of it is needed any more.
  state text not null default 'planned' check (state in ('planned', 'created', 'ended', 'deleted')),
  -- Why it could not be created yet, in the API server's words.
  waiting_reason text,
  waiting_message text,
  planned_at timestamptz not null default now(),
  created_at timestamptz,
  ended_at timestamptz,
  -- With `ended`: when it is to be deleted; null: it is kept.
  delete_after timestamptz,
  -- The one pod of that name that is this attempt's; null until an answer, an event or the pod itself tells.
  uid text,
  -- What was seen last (k8s/pod-observation.ts), and at which version; null: nothing yet.
  observation json,
  observed_version text,
  -- It is not in the API server any more.
  is_gone boolean not null default false,
  -- What the attempt reported: that it began, and how it ended (runtime/execution-api.ts, without the result).
  started_at timestamptz,
  hostname text,
  pid integer,
  finish json,
  result text,
  memory_peak_bytes bigint,
  -- Set when the attempt is to end, before its pod is told.
  cancel_reason text,
  -- Bytes of the attempt's own log that are kept, and the size of its log file with what others wrote into it.
  log_bytes bigint not null default 0,
  log_file_bytes bigint not null default 0,
  -- How far the logs of containers that do not report by themselves were followed: container → place.
  log_cursors json not null default '{}',
  -- What is said of the attempt's end stands in its log.
  is_end_told boolean not null default false,
  revision bigint not null default 1,
  seen_revision bigint not null default 0,
  primary key (dag_run_id, task_id, map_index, try_number)
) with (fillfactor = 50);
-- Not unique: where an author fixes a pod's name, attempts follow each other under it.
create index pod_name on pod (namespace, pod_name);
create index pod_unseen on pod (dag_run_id) where revision > seen_revision;
create index pod_live on pod (namespace) where state in ('planned', 'created', 'ended');
create index pod_delete_after on pod (delete_after) where state = 'ended' and delete_after is not null;

-- A watch is held by one scheduler at a time: the one named here, as long as its row in `scheduler` lives.
create table pod_watch (
  namespace text primary key,
  scheduler_id bigint,
  -- Events up to here are applied; null: list first.
  resource_version text,
  -- When anything was heard of the namespace, and when all of its pods were compared.
  heard_at timestamptz,
  listed_at timestamptz
);

-- Gives p_scheduler_id the watches of these namespaces that no other living scheduler holds.
create function claim_pod_watches(p_scheduler_id bigint, p_namespaces text[]) returns setof pod_watch
language plpgsql as $$
begin
  perform 1 from scheduler where scheduler_id = p_scheduler_id for key share;
  if not found then
    raise exception 'scheduler % has lost its lease', p_scheduler_id using errcode = 'BL001';
  end if;
  insert into pod_watch (namespace) select unnest(p_namespaces) on conflict do nothing;
  return query
    update pod_watch w
    set scheduler_id = p_scheduler_id
    from (
      select n.namespace from pod_watch n
      where n.namespace = any (p_namespaces)
        -- Its own: the answer to an earlier claim was lost.
        and (n.scheduler_id is null or n.scheduler_id = p_scheduler_id or not exists (
          select 1 from scheduler s where s.scheduler_id = n.scheduler_id and s.lease_expires_at > clock_timestamp()))
      for update skip locked
    ) free
    where w.namespace = free.namespace
    returning w.*;
end $$;

-- What was seen of pods of a namespace becomes part of the ledger, in one transaction with the version up to which
-- it was seen. Raises BL003 where the watch is another scheduler's by now. Pods of attempts that are not in the ledger,
-- or are there with another pod, change nothing: the names and uids of those that exist are returned, for they are
-- nobody's.
create function apply_pod_events(
  p_scheduler_id bigint,
  p_namespace text,
  p_resource_version text,  -- null: more of the same list follows
  p_pods json,              -- array of the attempt's key, pod_name, uid, resource_version, is_gone, observation
  p_listed text[],          -- uids of all pods, at the end of a list; null: these were events
  p_list_age interval       -- since that list was asked for: what was created later need not be in it
) returns table (pod_name text, uid text)
language plpgsql
-- As in commit_changes(): every row is found by an index, whatever the planner knows of the table's size.
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
  changed bigint;
  lost bigint := 0;
begin
  perform 1 from scheduler where scheduler_id = p_scheduler_id for key share;
  if not found then
    raise exception 'scheduler % has lost its lease', p_scheduler_id using errcode = 'BL001';
  end if;
  update pod_watch w
  set resource_version = coalesce(p_resource_version, w.resource_version), heard_at = clock_timestamp(),
      listed_at = case when p_listed is null then w.listed_at else clock_timestamp() end
  where w.namespace = p_namespace and w.scheduler_id = p_scheduler_id;
  if not found then
    raise exception 'the watch of namespace % is not held by scheduler %', p_namespace, p_scheduler_id
      using errcode = 'BL003';
  end if;

  -- In the order of the key, as everybody locks rows of pods: no two wait for each other.
  perform 1 from json_to_recordset(p_pods) as c (
    dag_run_id bigint, task_id text, map_index integer, try_number integer)
  join pod p using (dag_run_id, task_id, map_index, try_number)
  order by p.dag_run_id, p.task_id, p.map_index, p.try_number
  for update of p;

  -- Joined by the key alone: by namespace and name the planner may take an index that reads all pods for each of these.
  with c as materialized (
    select c.*
    from json_to_recordset(p_pods) as c (
      dag_run_id bigint, task_id text, map_index integer, try_number integer,
      pod_name text, uid text, resource_version text, is_gone boolean, observation json)
    join pod l using (dag_run_id, task_id, map_index, try_number)
    where l.namespace || '/' || l.pod_name = p_namespace || '/' || c.pod_name
  )
  update pod p
  set uid = c.uid, observation = c.observation, observed_version = c.resource_version, is_gone = c.is_gone,
      state = case when p.state = 'planned' then 'created' when p.state = 'ended' and c.is_gone then 'deleted'
        else p.state end,
      created_at = coalesce(p.created_at, clock_timestamp()),
      -- An attempt whose end is known has nobody any more who looks.
      revision = case when p.state = 'ended' then p.revision else p.revision + 1 end
  from c
  where p.dag_run_id = c.dag_run_id and p.task_id = c.task_id and p.map_index = c.map_index
    and p.try_number = c.try_number and p.state <> 'deleted' and (p.uid is null or p.uid = c.uid)
    and (p.observed_version is distinct from c.resource_version or p.is_gone <> c.is_gone);
  get diagnostics changed = row_count;

  if p_listed is not null then
    perform 1 from pod p
    where p.namespace = p_namespace and p.kind in ('task', 'pod') and p.state in ('created', 'ended') and not p.is_gone
      and p.created_at < clock_timestamp() - p_list_age and p.uid is not null
      and p.uid not in (select unnest(p_listed))
    order by p.dag_run_id, p.task_id, p.map_index, p.try_number
    for update;
    update pod p
    set is_gone = true, state = case when p.state = 'ended' then 'deleted' else p.state end,
        revision = case when p.state = 'ended' then p.revision else p.revision + 1 end
    where p.namespace = p_namespace and p.kind in ('task', 'pod') and p.state in ('created', 'ended') and not p.is_gone
      and p.created_at < clock_timestamp() - p_list_age and p.uid is not null
      and p.uid not in (select unnest(p_listed));
    get diagnostics lost = row_count;
  end if;
  if changed + lost > 0 then
    perform pg_notify('branchline', 'pods');
  end if;

  return query
    select c.pod_name, c.uid
    from json_to_recordset(p_pods) as c (
      dag_run_id bigint, task_id text, map_index integer, try_number integer,
      pod_name text, uid text, is_gone boolean)
    left join pod p using (dag_run_id, task_id, map_index, try_number)
    where not c.is_gone and (p.state is null or p.state = 'deleted' or p.namespace <> p_namespace
      or p.pod_name <> c.pod_name or (p.uid is not null and p.uid <> c.uid));
end $$;

-- As before, but that max_tries may change when an attempt ends, and infrastructure_retries goes with it.
create or replace function commit_changes(
  p_scheduler_id bigint,
  p_commit_number bigint,
  p_lease_ttl interval,
  p_queued_new json,       -- first attempts: dag_run_id, task_id, map_index, try_number, max_tries, token, executor
  p_queued_again json,     -- further ones: the same, infrastructure_retries and from_state
  p_started json,          -- dag_run_id, task_id, map_index, try_number, start_date, hostname, pid
  p_finished json,         -- the same and from_state, to_state, attempt_state, end_date, next_try_at, exit_code,
                           -- error, result, max_tries, infrastructure_retries
  p_decided_new json,      -- states without an attempt, no row so far: dag_run_id, task_id, map_index, state, max_tries
  p_decided json,          -- states of existing rows: dag_run_id, task_id, map_index, from_state, to_state, max_tries, infrastructure_retries
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
        dag_run_id bigint, task_id text, map_index integer, try_number integer, max_tries integer,
        infrastructure_retries integer, token uuid, executor text, from_state text)
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
      set state = 'queued', try_number = c.try_number, max_tries = c.max_tries,
          infrastructure_retries = coalesce(c.infrastructure_retries, t.infrastructure_retries), next_try_at = null,
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
        pid integer, exit_code integer, error json, result text, max_tries integer, infrastructure_retries integer)
    ), instance as (
      update task_instance t
      set state = c.to_state, attempt_state = c.attempt_state, start_date = c.start_date, end_date = c.end_date,
          next_try_at = c.next_try_at, hostname = c.hostname, pid = c.pid, exit_code = c.exit_code, error = c.error,
          max_tries = coalesce(c.max_tries, t.max_tries),
          infrastructure_retries = coalesce(c.infrastructure_retries, t.infrastructure_retries)
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
        dag_run_id bigint, task_id text, map_index integer, from_state text, to_state text, max_tries integer,
        infrastructure_retries integer)
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
      set state = c.to_state, max_tries = c.max_tries, infrastructure_retries = coalesce(c.infrastructure_retries, t.infrastructure_retries),
          next_try_at = null, attempt_state = null, token = null,
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
