import { type Section, section, unused } from '../../schema.js'

/** Cluster specification 5.10. The program carries no database driver, so this says what to do instead. */
export const sql: Section<undefined> = section({
  dialect: unused('`mysql` or `sqlite3`.'),
  connection_string: unused('Where the database is.'),
  username: unused('Selects the credentials in `auth.sql`.'),
  debug_logging: unused('Logs every statement.')
}, (_, complain) => {
  complain('the sql backend is not available: keep tags in another backend (s3, gcs, hdfs, fs, testfs) with `name_path: docker_tag`, and copy them ' +
    'there once, each as a text `sha256:<hex>`')
  return undefined
})
