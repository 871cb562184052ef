// A report from a CSV file that lies beside this module: `import.meta.dirname` is this module's directory in the
// commit of the run, so a run reads the file as it was committed with the code. Shows groups, skipping, and an
// error that no retry would cure.
//
//   branchline dags trigger orders-report --params '{"alertAbove": 500}'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { dag, group, TaskFailError, TaskSkipError, task } from 'branchline'

const regions = ['north', 'south', 'east', 'west'] as const

interface Order {
  day: string
  region: string
  product: string
  quantity: number
  price: number
}

export default dag(
  'orders-report',
  {
    description: 'Sales by region and product, from a CSV file in the repository',
    // Each weekday morning; a run that was missed is not made up for.
    schedule: '30 7 * * 1-5',
    timezone: 'Europe/Berlin',
    params: { file: 'data/orders.csv', alertAbove: 10_000 },
  },
  () => {
    const orders = task('read', async ({ params, log }) => {
      const path = join(import.meta.dirname, String(params.file))
      const found = parseOrders(await readFile(path, 'utf8'))
      log.info('orders read', { path, orders: found.length })
      return found
    })

    // A group is shown as one, and its tasks' ids begin with its own: by-region.north.
    const byRegion = group('by-region', { tooltip: 'Revenue of each region' }, () =>
      regions.map((region) =>
        task(region, { orders }, ({ orders }) =>
          revenueOf(orders.filter((order) => order.region === region)),
        ),
      ),
    )

    const products = task('by-product', { orders }, ({ orders }) =>
      Object.entries(Object.groupBy(orders, (order) => order.product))
        .map(([product, own = []]) => ({ product, revenue: revenueOf(own) }))
        .sort((a, b) => b.revenue - a.revenue),
    )

    // `after` orders without handing over data.
    task('report', { orders, products }, { after: [byRegion] }, ({ orders, products }) => {
      const report = [
        `# Orders of ${orders[0]?.day} to ${orders.at(-1)?.day}`,
        ...products.map(({ product, revenue }) => `- ${product}: ${revenue.toFixed(2)}`),
        `Total: ${revenueOf(orders).toFixed(2)}`,
      ].join('\n')
      // The console goes to the attempt's log as `log` does.
      console.log(report)
      return report
    })

    // Nothing to do is no failure: the task is skipped, and so would be what needs its result.
    task('alert', { products }, ({ products }, { params, log }) => {
      const limit = Number(params.alertAbove)
      const above = products.filter(({ revenue }) => revenue > limit)
      if (above.length === 0) throw new TaskSkipError(`no product made more than ${limit}`)
      for (const { product, revenue } of above) log.warn(`${product} made ${revenue.toFixed(2)}`)
      return above.map(({ product }) => product)
    })
  },
)

function parseOrders(csv: string): Order[] {
  const [header, ...lines] = csv.trim().split(/\r?\n/)
  if (header !== 'day,region,product,quantity,price') {
    // The file is wrong, and will be at the next attempt: fail at once, whatever retries there are.
    throw new TaskFailError(`the file has other columns than expected: ${header}`)
  }
  return lines.map((line, index) => {
    const [day = '', region = '', product = '', quantity, price] = line.split(',')
    const order = { day, region, product, quantity: Number(quantity), price: Number(price) }
    if (Number.isFinite(revenueOf([order]))) return order
    throw new TaskFailError(`line ${index + 2} has no quantity and price: ${line}`)
  })
}

function revenueOf(orders: readonly Order[]): number {
  return orders.reduce((sum, { quantity, price }) => sum + quantity * price, 0)
}
