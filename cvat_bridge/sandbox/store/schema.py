"""The tables of the sandbox."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS sequence (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS user (
  id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT UNIQUE NOT NULL, password TEXT NOT NULL,
  first_name TEXT DEFAULT '', last_name TEXT DEFAULT '', email TEXT DEFAULT '',
  groups TEXT NOT NULL, is_staff INTEGER, is_superuser INTEGER, is_active INTEGER DEFAULT 1,
  last_login TEXT, date_joined TEXT);
CREATE TABLE IF NOT EXISTS session (
  key TEXT PRIMARY KEY, user_id INTEGER NOT NULL, kind TEXT NOT NULL, csrf TEXT);
CREATE TABLE IF NOT EXISTS access_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER NOT NULL, name TEXT, digest TEXT UNIQUE,
  created_date TEXT, updated_date TEXT, expiry_date TEXT, last_used_date TEXT, read_only INTEGER);
CREATE TABLE IF NOT EXISTS organization (
  id INTEGER PRIMARY KEY AUTOINCREMENT, slug TEXT UNIQUE, name TEXT, description TEXT,
  contact TEXT, owner_id INTEGER, created_date TEXT, updated_date TEXT);
CREATE TABLE IF NOT EXISTS membership (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user_id INTEGER, organization_id INTEGER, role TEXT,
  joined_date TEXT, is_active INTEGER);
CREATE TABLE IF NOT EXISTS invitation (
  key TEXT PRIMARY KEY, membership_id INTEGER, owner_id INTEGER, created_date TEXT);
CREATE TABLE IF NOT EXISTS project (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, owner_id INTEGER, assignee_id INTEGER,
  assignee_updated_date TEXT, bug_tracker TEXT, status TEXT, created_date TEXT, updated_date TEXT,
  organization_id INTEGER, source_storage TEXT, target_storage TEXT);
CREATE TABLE IF NOT EXISTS label (
  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER, task_id INTEGER, parent_id INTEGER,
  name TEXT, color TEXT, type TEXT, svg TEXT);
CREATE INDEX IF NOT EXISTS label_project ON label(project_id);
CREATE INDEX IF NOT EXISTS label_task ON label(task_id);
CREATE INDEX IF NOT EXISTS label_parent ON label(parent_id);
CREATE TABLE IF NOT EXISTS attribute (
  id INTEGER PRIMARY KEY AUTOINCREMENT, label_id INTEGER, name TEXT, mutable INTEGER,
  input_type TEXT, default_value TEXT, choices TEXT);
CREATE INDEX IF NOT EXISTS attribute_label ON attribute(label_id);
CREATE TABLE IF NOT EXISTS task (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, project_id INTEGER, owner_id INTEGER,
  assignee_id INTEGER, assignee_updated_date TEXT, bug_tracker TEXT, status TEXT,
  created_date TEXT, updated_date TEXT, overlap INTEGER, segment_size INTEGER, dimension TEXT,
  mode TEXT, media_type TEXT, subset TEXT, organization_id INTEGER, data_id INTEGER,
  consensus_replicas INTEGER, source_storage TEXT, target_storage TEXT);
CREATE INDEX IF NOT EXISTS task_project ON task(project_id);
CREATE TABLE IF NOT EXISTS data (
  id INTEGER PRIMARY KEY AUTOINCREMENT, chunk_size INTEGER, size INTEGER, image_quality INTEGER,
  start_frame INTEGER, stop_frame INTEGER, frame_filter TEXT, storage TEXT,
  cloud_storage_id INTEGER, compressed_type TEXT, original_type TEXT, deleted_frames TEXT,
  chunks_updated_date TEXT, validation_mode TEXT, video TEXT, video_name TEXT);
CREATE TABLE IF NOT EXISTS frame (
  data_id INTEGER, number INTEGER, name TEXT, width INTEGER, height INTEGER, path TEXT,
  PRIMARY KEY (data_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job (
  id INTEGER PRIMARY KEY AUTOINCREMENT, task_id INTEGER, type TEXT, stage TEXT, state TEXT,
  status TEXT, assignee_id INTEGER, assignee_updated_date TEXT, start_frame INTEGER,
  stop_frame INTEGER, frames TEXT, parent_job_id INTEGER, created_date TEXT, updated_date TEXT);
CREATE INDEX IF NOT EXISTS job_task ON job(task_id);
CREATE TABLE IF NOT EXISTS tag (
  id INTEGER PRIMARY KEY, job_id INTEGER, frame INTEGER, label_id INTEGER, body TEXT);
CREATE INDEX IF NOT EXISTS tag_job ON tag(job_id);
CREATE TABLE IF NOT EXISTS shape (
  id INTEGER PRIMARY KEY, job_id INTEGER, frame INTEGER, label_id INTEGER, body TEXT);
CREATE INDEX IF NOT EXISTS shape_job ON shape(job_id);
CREATE TABLE IF NOT EXISTS track (
  id INTEGER PRIMARY KEY, job_id INTEGER, frame INTEGER, label_id INTEGER, body TEXT);
CREATE INDEX IF NOT EXISTS track_job ON track(job_id);
CREATE TABLE IF NOT EXISTS upload (
  id TEXT PRIMARY KEY, owner TEXT, filename TEXT, length INTEGER, path TEXT);
CREATE TABLE IF NOT EXISTS request (
  id TEXT PRIMARY KEY, owner_id INTEGER, status TEXT, message TEXT, operation TEXT,
  progress REAL, created_date TEXT, started_date TEXT, finished_date TEXT, result_path TEXT,
  result_url TEXT, result_id INTEGER);
CREATE TABLE IF NOT EXISTS webhook (
  id INTEGER PRIMARY KEY AUTOINCREMENT, target_url TEXT, description TEXT, type TEXT,
  content_type TEXT, is_active INTEGER, enable_ssl INTEGER, secret TEXT, events TEXT,
  project_id INTEGER, organization_id INTEGER, owner_id INTEGER, created_date TEXT,
  updated_date TEXT);
CREATE TABLE IF NOT EXISTS delivery (
  id INTEGER PRIMARY KEY AUTOINCREMENT, webhook_id INTEGER, event TEXT, status_code INTEGER,
  redelivery INTEGER, attempt INTEGER, request_duration INTEGER, created_date TEXT,
  updated_date TEXT, changed_fields TEXT, request TEXT, response TEXT);
CREATE INDEX IF NOT EXISTS delivery_webhook ON delivery(webhook_id);
CREATE TABLE IF NOT EXISTS issue (
  id INTEGER PRIMARY KEY AUTOINCREMENT, job_id INTEGER, frame INTEGER, position TEXT,
  owner_id INTEGER, assignee_id INTEGER, resolved INTEGER, created_date TEXT, updated_date TEXT);
CREATE TABLE IF NOT EXISTS comment (
  id INTEGER PRIMARY KEY AUTOINCREMENT, issue_id INTEGER, owner_id INTEGER, message TEXT,
  created_date TEXT, updated_date TEXT);
CREATE TABLE IF NOT EXISTS event (
  id INTEGER PRIMARY KEY AUTOINCREMENT, timestamp REAL, project_id INTEGER, task_id INTEGER,
  job_id INTEGER, user_id INTEGER, org_id INTEGER, body TEXT);
CREATE TABLE IF NOT EXISTS guide (
  id INTEGER PRIMARY KEY AUTOINCREMENT, project_id INTEGER UNIQUE, task_id INTEGER UNIQUE,
  markdown TEXT, created_date TEXT, updated_date TEXT);
CREATE TABLE IF NOT EXISTS cloudstorage (
  id INTEGER PRIMARY KEY AUTOINCREMENT, owner_id INTEGER, organization_id INTEGER, body TEXT,
  folder TEXT, created_date TEXT, updated_date TEXT);
"""
