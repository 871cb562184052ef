# The ledger's writer for bash tasks, which source it: `line N` logs a line and then tells the ledger of it,
# `child COMMAND…` starts a child that has to die with the attempt. See test/support/ledger.ts.
directory="$LEDGER/$BRANCHLINE_DAG_ID/$BRANCHLINE_RUN_ID"
mkdir -p "$directory"
file="$directory/$BRANCHLINE_TASK_ID"
try=$BRANCHLINE_TRY_NUMBER
say() { echo "$*" >> "$file"; }
start_of() {
  local stat
  { stat=$(< "/proc/$1/stat"); } 2> /dev/null || return 0
  set -- ${stat##*) }
  [ "$1" = Z ] || echo "${20}"
}
if [ -f "$file" ]; then
  while read -r what its_try pid start rest; do
    case "$what" in
      begin | child)
        if [ "$what" = child ] || ! grep -q "^end $its_try " "$file"; then
          [ "$(start_of "$pid")" = "$start" ] && say overlap "$try" "$its_try" "$pid"
        fi ;;
    esac
  done < "$file"
fi
say begin "$try" $$ "$(start_of $$)" "$(date +%s%3N)"
line() { echo "line $1"; say line "$try" "$1"; }
child() { "$@" & say child "$try" $! "$(start_of $!)"; }
trap 'say end "$try" $$ "$(start_of $$)" "$(date +%s%3N)"' EXIT
